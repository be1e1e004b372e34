// Publish as DWP, subscribe as Leeds, with kafkajs and avsc (docs/examples/README.md).
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import avro from 'avsc'
import { Kafka, logLevel } from 'kafkajs'

const type = 'uk.gov.benefits.claimant.v1'
const secured = process.env.KAFKA_PROPERTIES ? JSON.parse(readFileSync(process.env.KAFKA_PROPERTIES)) : {}
const kafka = new Kafka({ brokers: [process.env.KAFKA], logLevel: logLevel.ERROR, ...secured })
const ask = async (path) => (await fetch(`${process.env.REGISTRY}/apis/ccompat/v7/${path}`)).json()
const [what, nino, given_names, family_name] = process.argv.slice(2)

if (what === 'publish') {
  const { id, schema } = await ask(`subjects/${type}-value/versions/latest`)
  const head = Buffer.alloc(5) // the Confluent wire format: 0, the schema's id, Avro
  head.writeInt32BE(id, 1)
  const data = avro.Type.forSchema(JSON.parse(schema)).toBuffer({ nino, name: { given_names, family_name } })
  const headers = { ce_specversion: '1.0', ce_id: randomUUID(), ce_source: 'urn:gov:dwp:cis', ce_type: type,
    ce_time: new Date().toISOString(), 'content-type': 'application/avro' }
  const producer = kafka.producer({ idempotent: true })
  await producer.connect()
  await producer.send({ topic: type, acks: -1, messages: [{ value: Buffer.concat([head, data]), headers }] })
  await producer.disconnect()
  console.log('published', headers.ce_id)
} else {
  const kept = new Map(), schemas = new Map() // kept is built anew from the topic's beginning at every start
  const consumer = kafka.consumer({ groupId: `subscriber.council-leeds.${randomUUID()}` }) // reads committed
  await consumer.connect()
  await consumer.subscribe({ topic: 'view.council-leeds-housing', fromBeginning: true })
  await consumer.run({ eachMessage: async ({ message: { key, value } }) => {
    if (value === null) kept.delete(`${key}`) // a withdrawal: delete what was held under this key
    else {
      const id = value.readInt32BE(1)
      if (!schemas.has(id)) schemas.set(id, avro.Type.forSchema(JSON.parse((await ask(`schemas/ids/${id}`)).schema)))
      kept.set(`${key}`, schemas.get(id).fromBuffer(value.subarray(5)))
    }
    console.log(value === null ? 'delete' : 'keep', `${key}`, JSON.stringify(kept.get(`${key}`)))
  } })
}
