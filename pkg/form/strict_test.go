package form

import (
	"net/http"
	"testing"

	"github.com/sallyport/sallyport/pkg/fault"
)

// C-13, C-19: what is not tolerated, each with what it is instead.
func TestIntolerant(t *testing.T) {
	oauth := Reader{Known: knownFields}
	for name, r := range map[string]*http.Request{
		"JSON":                      post("/", `{"otp":"1"}`, jsonType),
		"JSON under a form header":  post("/", `{"otp":"1"}`, formType),
		"JSON without a header":     post("/", `{"otp":"1"}`),
		"a form without a header":   post("/", "otp=1"),
		"a form called JSON":        post("/", "otp=1", jsonType),
		"a form with another type":  post("/", "otp=1", "text/plain"),
		"a parameter that is twice": post("/", "otp=1&otp=1", formType),
	} {
		if err := oauth.Read(r); fault.Of(err) != fault.BadRequest || r.PostForm != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	api := Reader{Known: knownFields, JSON: true}
	for name, r := range map[string]*http.Request{
		"JSON under a form header": post("/", `{"otp":"1"}`, formType),
		"JSON without a header":    post("/", `{"otp":"1"}`),
		"null (B-24)":              post("/", `{"otp":null}`, jsonType),
		"a number":                 post("/", `{"otp":123456}`, jsonType),
		"a boolean":                post("/", `{"otp":true}`, jsonType),
		"null in a list":           post("/", `{"audience":["a",null]}`, jsonType),
	} {
		if err := api.Read(r); fault.Of(err) != fault.BadRequest || r.PostForm != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// RFC 6749, 3.2: unknown and empty parameters are ignored.
	for name, c := range map[string]struct {
		b Reader
		r *http.Request
	}{
		"a form":                  {oauth, post("/", "otp=1&scope=&x=1&x=2", formType)},
		"a form in capitals":      {oauth, post("/", "otp=1", "Application/X-WWW-Form-URLEncoded;charset=UTF-8")},
		"JSON at the MFA API":     {api, post("/", `{"otp":"1","scope":"","x":null}`, jsonType)},
		"a form at the MFA API":   {api, post("/", "otp=1", formType)},
		"a list where one may be": {api, post("/", `{"otp":"1","audience":[]}`, jsonType)},
	} {
		if err := c.b.Read(c.r); err != nil || c.r.PostForm.Encode() != "otp=1" {
			t.Errorf("%s: %v, %v", name, err, c.r.PostForm)
		}
	}
}
