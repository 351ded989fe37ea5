import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;

/** Puts the cases to the verifier of docs/stamp.md and says what came of each. */
public final class Check {
    public static void main(String[] arguments) throws Exception {
        Map<?, ?> work = (Map<?, ?>) Json.parse(Files.readString(Path.of(arguments[0])));
        StampVerifier verifier = new StampVerifier((String) work.get("issuer"), (String) work.get("audience"));
        for (Object each : (List<?>) work.get("cases")) {
            Map<?, ?> one = (Map<?, ?>) each;
            byte[] body = ((String) one.get("body")).getBytes(StandardCharsets.UTF_8);
            try {
                Map<?, ?> claims = verifier.verify(
                    (String) one.get("stamp"), (String) one.get("method"), (String) one.get("target"), body);
                System.out.println(one.get("name") + "|accepted for " + ((Map<?, ?>) claims.get("tenant")).get("name"));
            } catch (StampVerifier.StampException refused) {
                System.out.println(one.get("name") + "|refused: " + refused.getMessage());
            }
        }
    }
}
