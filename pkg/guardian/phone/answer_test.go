package phone

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

const totp = `{"secret":"JBSWY3DPEHPK3PXP","algorithm":"sha1","digits":6,"period":30}`

// How strictly each app reads the answer to an enrollment; section 5.
func TestEnrollAnswers(t *testing.T) {
	whole := func(change ...string) string {
		members := map[string]string{"id": `"dev_1"`, "url": `"u"`, "issuer": `"i"`, "user_id": `"s"`, "token": `"t"`, "totp": totp}
		for i := 0; i < len(change); i += 2 {
			members[change[i]] = change[i+1]
		}
		var all []string
		for name, value := range members {
			if value != "" {
				all = append(all, fmt.Sprintf("%q:%s", name, value))
			}
		}
		return "{" + strings.Join(all, ",") + "}"
	}
	with := func(name, value string) string { return strings.Replace(totp, name, value, 1) }
	const jsonType = "application/json"
	tests := []struct {
		name, typed, body string
		takes             string // the profiles
	}{
		{"whole", jsonType, whole(), "android android-0.2 swift swift-0.1 web"},
		{"no url", jsonType, whole("url", ""), "swift web"},
		{"no issuer", jsonType, whole("issuer", ""), ""},
		{"no user", jsonType, whole("user_id", ""), ""},
		{"null token", jsonType, whole("token", "null"), "android android-0.2"},
		{"no id", jsonType, whole("id", ""), ""},
		{"no totp", jsonType, whole("totp", ""), "android android-0.2 swift swift-0.1 web"},
		{"null totp", jsonType, whole("totp", "null"), "swift swift-0.1 web"},
		{"capital algorithm", jsonType, whole("totp", with("sha1", "SHA1")), "android android-0.2 swift-0.1"},
		{"another algorithm", jsonType, whole("totp", with("sha1", "md5")), "swift-0.1"},
		{"digits as text", jsonType, whole("totp", with("6,", `"6",`)), "swift-0.1"},
		{"no period", jsonType, whole("totp", with(`,"period":30`, "")), "swift-0.1"},
		{"no base32", jsonType, whole("totp", with("JBSW", "1189")), "swift-0.1"},
		{"text", "text/plain", whole(), "android android-0.2 swift-0.1 web"},
		{"typed loosely", "application/json; charset=utf-8", whole(), "android android-0.2 swift swift-0.1 web"},
		{"no JSON", jsonType, "yes", ""},
		{"no object", jsonType, "[]", ""},
	}
	for _, tt := range tests {
		for _, p := range Profiles() {
			r, got := apps[p].reads, answer{http.StatusOK, tt.typed, []byte(tt.body)}
			err := r.check(got)
			if err == nil {
				_, err = r.enrollment(got)
			}
			if takes := strings.Contains(" "+tt.takes+" ", " "+string(p)+" "); takes != (err == nil) {
				t.Errorf("%s: %s says %v", tt.name, p, err)
			}
		}
	}
}
