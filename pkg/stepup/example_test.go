package stepup_test

import (
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/sallyport/sallyport/pkg/stepup"
)

// An API that everybody with a token may read, and in which a transfer takes a second
// factor that was proved in the last five minutes.
func Example() {
	guard, err := stepup.New(stepup.Options{
		Issuer:   "https://login.example.com/",
		Audience: "https://api.example.com/",
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /accounts", guard.Require(stepup.Demand{Scopes: []string{"read:accounts"}}, http.HandlerFunc(accounts)))
	mux.Handle("POST /transfers", guard.Require(stepup.Demand{
		Scopes: []string{"write:transfers"}, ACR: stepup.MultiFactor, MaxAge: 5 * time.Minute,
	}, http.HandlerFunc(transfer)))
	server := &http.Server{Addr: ":8443", Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServeTLS("cert.pem", "key.pem"))
}

func accounts(w http.ResponseWriter, r *http.Request) {
	token, _ := stepup.FromContext(r.Context())
	fmt.Fprintln(w, "the accounts of", token.Subject)
}

func transfer(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }

// What a client of Go makes of a refusal.
func ExampleParseChallenge() {
	refused := http.Header{"Www-Authenticate": {
		`Bearer error="insufficient_user_authentication", acr_values="` + stepup.MultiFactor + `", max_age="300"`,
	}}
	if c, ok := stepup.ParseChallenge(refused); ok && c.Error == stepup.UserAuthentication {
		fmt.Println("acr_values", c.ACRValues)
		fmt.Println("max_age", c.MaxAge)
	}
	// Output:
	// acr_values http://schemas.openid.net/pape/policies/2007/06/multi-factor
	// max_age 300
}
