package grants

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/pkg/fault"
	"github.com/sallyport/sallyport/pkg/record"
)

// FuzzWish: whatever is asked for, what is granted was asked for, or nothing was; each
// scope once, and a guarded one never without the demand for a factor.
func FuzzWish(f *testing.F) {
	r := tenant()
	o := Options{Registry: r, URL: issuer}
	for _, seed := range [][4]string{
		{"", "", "", ""}, {"openid profile", things, "", "0"}, {"write:things write:things", things, "", ""}, {"offline_access", "", record.MultiFactor, "-1"},
		{"read:things\twrite:things", things + "/", "a b", "1e9"}, {"openid", userinfo, "", "99999999999999999999"}, {" ", manage, "", "+1"}, {"\"", "x", "", "١"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	f.Fuzz(func(t *testing.T, scope, audience, acr, age string) {
		asked := request{client: r.clients["spa"], form: url.Values{"scope": {scope}, "audience": {audience}, "acr_values": {acr}, "max_age": {age}}}
		w, err := o.wish(t.Context(), asked)
		if err != nil {
			if kind := fault.Of(err); AnswerTo(err).Status >= 500 {
				t.Fatalf("%q %q %q %q: %v", scope, audience, acr, age, kind)
			}
			return
		}
		words := strings.Fields(scope)
		for i, s := range w.scopes {
			if len(words) > 0 && !slices.Contains(words, s) || slices.Contains(w.scopes[:i], s) {
				t.Fatalf("%q of %q became %q", scope, audience, w.scopes)
			}
			if s == "write:things" && audience == things && !w.demand.Scopes {
				t.Fatalf("%q of %q demands no factor", scope, audience)
			}
		}
		if age != "" && (w.demand.MaxAge == nil || *w.demand.MaxAge < 0) {
			t.Fatalf("max_age %q became %v", age, w.demand.MaxAge)
		}
	})
}

// FuzzDescription: a parameter in a description is no more than RFC 6749, 5.2 allows.
func FuzzDescription(f *testing.F) {
	for _, seed := range []string{"otp", "a\"b\\c", "\r\n", "\xff", strings.Repeat("ü", 100), "%s%d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, param string) {
		text, _ := AnswerTo(fault.Param(fault.MissingParameter, param)).Members["error_description"].(string)
		if len(text) > 200 || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
			t.Fatalf("%q became %q", param, text)
		}
	})
}
