// Puts the cases to the verifier of docs/stamp.md and says what came of each.
import { readFileSync } from "node:fs";
import { StampError, StampVerifier } from "./stamp.mjs";

const work = JSON.parse(readFileSync(process.argv[2]));
const verifier = new StampVerifier(work.issuer, work.audience);
for (const { name, stamp, method, target, body } of work.cases) {
  try {
    const claims = await verifier.verify(stamp, method, target, Buffer.from(body));
    console.log(`${name}|accepted for ${claims.tenant.name}`);
  } catch (error) {
    if (!(error instanceof StampError)) throw error;
    console.log(`${name}|refused: ${error.message}`);
  }
}
