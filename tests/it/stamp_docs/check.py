# Puts the cases to the verifier of docs/stamp.md and says what came of each.
import json
import sys

from stamp import StampError, StampVerifier

work = json.load(open(sys.argv[1]))
verifier = StampVerifier(work["issuer"], work["audience"])
for case in work["cases"]:
    try:
        claims = verifier.verify(case["stamp"], case["method"], case["target"], case["body"].encode())
        print(f"{case['name']}|accepted for {claims['tenant']['name']}")
    except StampError as error:
        print(f"{case['name']}|refused: {error}")
