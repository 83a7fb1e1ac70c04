package stepup_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/pkg/stepup"
)

func TestParseChallenge(t *testing.T) {
	weak := stepup.Challenge{Error: stepup.UserAuthentication, ACRValues: "a b", MaxAge: "5", Scope: "s"}
	acr := func(values string) stepup.Challenge {
		return stepup.Challenge{Error: stepup.UserAuthentication, ACRValues: values}
	}
	for _, c := range []struct {
		lines []string
		want  stepup.Challenge
	}{
		{[]string{`Bearer error="insufficient_user_authentication", acr_values="a b", max_age="5", scope="s"`}, weak},
		{[]string{`bearer Error=insufficient_user_authentication,MAX_AGE=5 , acr_values = "a b",scope=s`}, weak},
		{[]string{"Bearer\terror=\"insufficient_user_authentication\"\t,, acr_values=\"a b\" ,\tmax_age=\"5\",scope=\"s\","}, weak},
		{[]string{`Bearer realm="a, Basic realm=\"b\"", error="insufficient_user_authentication", acr_values="a"`}, acr("a")},
		{[]string{`Bearer error="insufficient_user_authentication", error_description="say \"a, b=c\"", acr_values="a"`}, acr("a")},
		{[]string{`Bearer acr_values="\a", error="insufficient_user_authentication"`}, acr("a")},
		{[]string{`Basic realm="x", Bearer error="insufficient_user_authentication", acr_values="a", Digest nonce="b", acr_values="c"`}, acr("a")},
		{[]string{`Negotiate dG9rZW4=, Bearer error="insufficient_user_authentication", acr_values="a"`}, acr("a")},
		{[]string{`Negotiate, NTLM , Bearer error="insufficient_user_authentication", acr_values="a"`}, acr("a")},
		{[]string{`Basic realm="x"`, `DPoP algs="ES256"`, `Bearer error="insufficient_user_authentication", acr_values="a"`}, acr("a")},
		{[]string{`Basic realm="x`, `Bearer error="insufficient_user_authentication", acr_values="a"`}, acr("a")},
		{[]string{`Bearer error="insufficient_user_authentication", acr_values="a", Basic realm="x`}, acr("a")},
		{[]string{`Bearer max_age="0", error="insufficient_user_authentication"`}, stepup.Challenge{Error: stepup.UserAuthentication, MaxAge: "0"}},
		{[]string{`Bearer error="invalid_token"`}, stepup.Challenge{Error: stepup.InvalidToken}},
		{[]string{`Bearer`}, stepup.Challenge{}},
		{[]string{`Bearer dG9rZW4=`}, stepup.Challenge{}},
	} {
		if got, ok := stepup.ParseChallenge(http.Header{"Www-Authenticate": c.lines}); !ok || got != c.want {
			t.Errorf("%q: %+v, %v, want %+v", c.lines, got, ok, c.want)
		}
	}
	for _, line := range []string{
		"", ",", "Basic", `Basic error="insufficient_user_authentication"`, `error="insufficient_user_authentication"`, `Bearer error="a`, `Bearer error="a\`,
		`Bearer error="a", error="b"`, `Bearer error="a", ERROR="a"`, `Bearer error= , max_age=5`, `Bearer error="a" @`, `Bearer/2 error="a"`, `Bearer max_age="-5"`,
		`Bearer max_age="soon"`, `Bearer max_age="5.0"`, `Bearer max_age="99999999999"`, `Bearer scope="a` + "\x01" + `b"`, `Bearer acr_values="a\"b"`,
		`Bearer acr_values="ä"`, `Bearer error=="a"`, `"Bearer" error="a"`, `Bearer;error="a"`, "Bearer\r\nerror=a", `=`, `Bearer error="a"; acr_values="b"`,
	} {
		if got, ok := stepup.ParseChallenge(http.Header{"Www-Authenticate": {line}}); ok {
			t.Errorf("%q: %+v", line, got)
		}
	}
	if got, ok := stepup.ParseChallenge(http.Header{}); ok {
		t.Errorf("of nothing: %+v", got)
	}
}

// Whatever comes in, what is understood can be handed on, and reads the same again.
func FuzzParseChallenge(f *testing.F) {
	f.Add(`Bearer error="insufficient_user_authentication", acr_values="a b", max_age="5", scope="s"`)
	f.Add(`Basic realm="x", Bearer error=insufficient_user_authentication,max_age=5, Negotiate dG9rZW4=`)
	f.Add(`Bearer realm="a, \"b\"", error_description="=,", ERROR = "x"`)
	f.Add("Bearer\t error=\"a\"\t,,, , scope=\"\"")
	f.Add(`Bearer error="a`)
	f.Fuzz(func(t *testing.T, line string) {
		c, ok := stepup.ParseChallenge(http.Header{"Www-Authenticate": {line}})
		if !ok {
			return
		}
		text := c.String()
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' || r == '\\' }) || len(c.MaxAge) > 10 {
			t.Errorf("%q: %q", line, text)
		}
		if again, ok := stepup.ParseChallenge(http.Header{"Www-Authenticate": {text}}); !ok || again != c {
			t.Errorf("%q: %+v, then %+v", line, c, again)
		}
	})
}
