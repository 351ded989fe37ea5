// Puts the cases to the verifier of docs/stamp.md and says what came of each.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"check/stamp"
)

func main() {
	var work struct {
		Issuer, Audience string
		Cases            []struct{ Name, Stamp, Method, Target, Body string }
	}
	text, err := os.ReadFile(os.Args[1])
	if err == nil {
		err = json.Unmarshal(text, &work)
	}
	if err != nil {
		panic(err)
	}
	verifier := stamp.Verifier{Issuer: work.Issuer, Audience: work.Audience}
	for _, c := range work.Cases {
		if claims, err := verifier.Verify(c.Stamp, c.Method, c.Target, []byte(c.Body)); err != nil {
			fmt.Printf("%s|refused: %s\n", c.Name, err)
		} else {
			fmt.Printf("%s|accepted for %s\n", c.Name, claims.Tenant.Name)
		}
	}
}
