import java.io.File;
import org.apache.avro.Protocol;
import org.apache.avro.compiler.specific.SpecificCompiler;
import org.apache.avro.generic.GenericData.StringType;

/** The Avro classes of W1, from a protocol file that names every type; strings stay UTF-8. */
public final class Generate {
  public static void main(String[] args) throws Exception {
    SpecificCompiler compiler = new SpecificCompiler(Protocol.parse(new File(args[0])));
    compiler.setStringType(StringType.Utf8);
    compiler.compileToDestination(null, new File(args[1]));
  }
}
