package form

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sallyport/sallyport/pkg/fault"
)

var knownFields = Fields{"grant_type": One, "username": One, "password": One, "otp": One, "scope": One, "audience": Many}

// readBody reads what a tolerant endpoint reads.
func readBody(r *http.Request) error {
	return Reader{Known: knownFields, JSON: true, Tolerant: true}.Read(r)
}

// post is a POST of a body with the given Content-Type headers.
func post(target, body string, types ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, target, strings.NewReader(body))
	r.Header["Content-Type"] = types
	return r
}

func TestBodiesThatAreRead(t *testing.T) {
	both := url.Values{"grant_type": {"password"}, "username": {"a b"}}
	for _, c := range []struct {
		name, contentType, body string
		want                    url.Values
	}{
		{"form", formType, "grant_type=password&username=a+b", both},
		{"form, %20", formType, "grant_type=password&username=a%20b", both},
		{"form, charset", formType + "; charset=utf-8", "grant_type=password&username=a+b", both},
		{"form, any case", "Application/X-WWW-Form-URLEncoded;CHARSET=\"UTF-8\"", "grant_type=password&username=a+b", both},
		{"json", jsonType, `{"grant_type":"password","username":"a b"}`, both},
		{"json, charset", jsonType + ";charset=UTF-8", `{"grant_type":"password","username":"a b"}`, both},
		{"json, any case", "APPLICATION/Json", " \t\r\n{ \"grant_type\" : \"password\" ,\n\"username\":\"a b\" } \n", both},
		{"json, escapes", jsonType, `{"grant\u005ftype":"pass\u0077ord","username":"a\u0020b"}`, both},
		{"json under a form header (1.1.9)", formType, "\n {\"grant_type\":\"password\",\"username\":\"a b\"}", both},
		{"json without a header (1.1.9)", "", `{"grant_type":"password","username":"a b"}`, both},
		{"json, null is absent (1.1.5)", jsonType, `{"grant_type":"password","username":"a b","scope":null,"audience":null}`, both},
		{"json, empty is absent (1.1.6)", jsonType, `{"grant_type":"password","username":"a b","scope":"","audience":[]}`, both},
		{"form, empty is absent", formType, "grant_type=password&username=a+b&scope=&audience=&otp", both},
		{"json, list of nothing", jsonType, `{"grant_type":"password","username":"a b","audience":["",null]}`, both},
		{"form, unknown (1.1.7)", formType, "grant_type=password&username=a+b&x=%00&x=2&=y&&__proto__=1", both},
		{"json, unknown (1.1.7)", jsonType, `{"grant_type":"password","username":"a b","x":{"otp":[1,{"otp":"2"}]},"__proto__":{},"":[]}`, both},
		{"json, other case is unknown (B-21)", jsonType, `{"grant_type":"password","username":"a b","OTP":"1","Username":"x"}`, both},
		{"json, integers", jsonType, `{"otp":123456,"scope":0,"audience":[1,"b",999999999999999]}`,
			url.Values{"otp": {"123456"}, "scope": {"0"}, "audience": {"1", "b", "999999999999999"}}},
		{"json, a value for a list", jsonType, `{"audience":"a"}`, url.Values{"audience": {"a"}}},
		{"json, a pair of surrogates", jsonType, `{"password":"\ud83d\ude00"}`, url.Values{"password": {"😀"}}},
		{"form, what may be repeated", formType, "audience=a&audience=b", url.Values{"audience": {"a", "b"}}},
		{"form, decoded once (B-10)", formType, "username=%2541", url.Values{"username": {"%41"}}},
		{"a password holds anything", formType, "password=%0A%09%E2%80%A8%E2%80%AE", url.Values{"password": {"\n\t\u2028\u202e"}}},
		{"nothing of a form", formType, "", url.Values{}},
		{"an empty object", jsonType, "{}", url.Values{}},
		{"64 fields", formType, strings.Repeat("x=1&", 63) + "otp=1", url.Values{"otp": {"1"}}},
		{"64 members", jsonType, manyMembers(63), url.Values{"otp": {"1"}}},
		{"16 deep, and brackets in strings", jsonType, `{"x":` + strings.Repeat("[", 15) + strings.Repeat("]", 15) + `,"y":"\"[[[[[[[[[[[[[[[[[[","otp":"1"}`,
			url.Values{"otp": {"1"}}},
		{"16 KiB", formType, "otp=1&x=" + strings.Repeat("a", Limit-8), url.Values{"otp": {"1"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := post("/oauth/token", c.body, c.contentType)
			if c.contentType == "" {
				r.Header.Del("Content-Type")
			}
			if err := readBody(r); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(r.PostForm, c.want) || !reflect.DeepEqual(r.Form, c.want) {
				t.Errorf("got %q, want %q", r.PostForm, c.want)
			}
		})
	}
}

// manyMembers is an object with n unknown members and otp.
func manyMembers(n int) string {
	var b strings.Builder
	b.WriteString("{")
	for i := range n {
		b.WriteString(`"x` + strings.Repeat("y", i) + `":1,`)
	}
	return b.String() + `"otp":"1"}`
}

func TestBodiesThatAreRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		r    *http.Request
		want fault.Kind
	}{
		{"repeated (B-01)", post("/", "otp=1&otp=1", formType), fault.BadRequest},
		{"repeated, empty", post("/", "otp=1&otp=", formType), fault.BadRequest},
		{"in the URL and the body (B-02)", post("/?otp=1", "otp=1", formType), fault.BadRequest},
		{"in the URL", post("/?password=x", "otp=1", formType), fault.BadRequest},
		{"a query that hides a name", post("/?a;password=x", "otp=1", formType), fault.BadRequest},
		{"semicolon (B-03)", post("/", "otp=1;scope=x", formType), fault.BadRequest},
		{"bad escape (B-04)", post("/", "otp=%zz", formType), fault.BadRequest},
		{"lone percent", post("/", "otp=%", formType), fault.BadRequest},
		{"bad escape in a name", post("/", "%zz=1", formType), fault.BadRequest},
		{"NUL (B-05)", post("/", "username=a%00b", formType), fault.BadRequest},
		{"C0", post("/", "username=a%1fb", formType), fault.BadRequest},
		{"DEL", post("/", "username=%7f", formType), fault.BadRequest},
		{"C1", post("/", "username=a%C2%85b", formType), fault.BadRequest},
		{"CRLF", post("/", "scope=a%0d%0ab", formType), fault.BadRequest},
		{"line separator", post("/", "username=%E2%80%A8", formType), fault.BadRequest},
		{"paragraph separator", post("/", "username=%E2%80%A9", formType), fault.BadRequest},
		{"turned around", post("/", "username=%E2%80%AE", formType), fault.BadRequest},
		{"NUL in a password", post("/", "password=a%00b", formType), fault.BadRequest},
		{"NUL in a JSON password", post("/", `{"password":"a\u0000b"}`, jsonType), fault.BadRequest},
		{"control in JSON", post("/", `{"username":"a\u0007"}`, jsonType), fault.BadRequest},
		{"control in a list", post("/", `{"audience":["a","b\n"]}`, jsonType), fault.BadRequest},
		{"raw bytes (B-06)", post("/", "username=\xff", formType), fault.BadRequest},
		{"escaped bytes", post("/", "username=%ff", formType), fault.BadRequest},
		{"escaped bytes in a password", post("/", "password=%c3%28", formType), fault.BadRequest},
		{"overlong (B-10)", post("/", "username=%c0%af", formType), fault.BadRequest},
		{"65 Fields (B-07)", post("/", strings.Repeat("x=1&", 64)+"otp=1", formType), fault.BadRequest},
		{"65 members", post("/", manyMembers(64), jsonType), fault.BadRequest},
		{"16 KiB and 1", post("/", "x="+strings.Repeat("a", Limit-1), formType), fault.BodyTooLarge},
		{"16 KiB and 1 of JSON", post("/", `{"x":"`+strings.Repeat("a", Limit)+`"}`, jsonType), fault.BodyTooLarge},
		{"text (B-08)", post("/", "otp=1", "text/plain"), fault.BadRequest},
		{"form without a header", post("/", "otp=1"), fault.BadRequest},
		{"two headers", post("/", "otp=1", formType, formType), fault.BadRequest},
		{"two types in one", post("/", "otp=1", formType+", "+jsonType), fault.BadRequest},
		{"another charset", post("/", "otp=1", formType+"; charset=utf-16"), fault.BadRequest},
		{"another charset of JSON", post("/", "{}", jsonType+"; charset=iso-8859-1"), fault.BadRequest},
		{"no type at all", post("/", "otp=1", ";;"), fault.BadRequest},
		{"multipart", post("/", "--x\r\n\r\n--x--", "multipart/form-data; boundary=x"), fault.BadRequest},
		{"multipart that begins like JSON", post("/", "{}", "multipart/form-data; boundary=x"), fault.BadRequest},
		{"a form called JSON", post("/", "otp=1", jsonType), fault.BadRequest},
		{"nothing called JSON", post("/", "", jsonType), fault.BadRequest},
		{"twice (B-20)", post("/", `{"otp":"1","otp":"1"}`, jsonType), fault.BadRequest},
		{"twice, once escaped", post("/", `{"otp":"1","\u006ftp":"2"}`, jsonType), fault.BadRequest},
		{"twice, unknown", post("/", `{"x":1,"x":2}`, jsonType), fault.BadRequest},
		{"lone surrogate (B-22)", post("/", `{"username":"\ud800"}`, jsonType), fault.BadRequest},
		{"bytes in JSON", post("/", "{\"username\":\"\xc3\x28\"}", jsonType), fault.BadRequest},
		{"second value (B-23)", post("/", `{"otp":"1"}{}`, jsonType), fault.BadRequest},
		{"trailing brace", post("/", `{"otp":"1"}}`, jsonType), fault.BadRequest},
		{"trailing comma", post("/", `{"otp":"1",}`, jsonType), fault.BadRequest},
		{"leading comma", post("/", `{,"otp":"1"}`, jsonType), fault.BadRequest},
		{"no comma", post("/", `{"otp":"1" "scope":"a"}`, jsonType), fault.BadRequest},
		{"no colon", post("/", `{"otp" "1"}`, jsonType), fault.BadRequest},
		{"a form after JSON", post("/", `{}&otp=1`, formType), fault.BadRequest},
		{"cut off", post("/", `{"otp":"1"`, jsonType), fault.BadRequest},
		{"cut off in a name", post("/", `{"ot`, jsonType), fault.BadRequest},
		{"an object (B-24)", post("/", `{"otp":{}}`, jsonType), fault.BadRequest},
		{"an object in a list", post("/", `{"audience":[{}]}`, jsonType), fault.BadRequest},
		{"a list in a list", post("/", `{"audience":[["a"]]}`, jsonType), fault.BadRequest},
		{"a list for a value", post("/", `{"otp":["1"]}`, jsonType), fault.BadRequest},
		{"a boolean (B-24)", post("/", `{"otp":true}`, jsonType), fault.BadRequest},
		{"a boolean in a list", post("/", `{"audience":["a",false]}`, jsonType), fault.BadRequest},
		{"a number out of range", post("/", `{"otp":1e400}`, jsonType), fault.BadRequest},
		{"an exponent", post("/", `{"otp":1e5}`, jsonType), fault.BadRequest},
		{"a fraction", post("/", `{"otp":1.0}`, jsonType), fault.BadRequest},
		{"a minus", post("/", `{"otp":-0}`, jsonType), fault.BadRequest},
		{"2^53 and more", post("/", `{"otp":9007199254740993}`, jsonType), fault.BadRequest},
		{"leading zero", post("/", `{"otp":021589}`, jsonType), fault.BadRequest},
		{"17 deep (B-25)", post("/", `{"x":`+strings.Repeat("[", 16)+strings.Repeat("]", 16)+`}`, jsonType), fault.BadRequest},
		{"8000 deep", post("/", `{"x":`+strings.Repeat("[", 8000)+strings.Repeat("]", 8000)+`}`, jsonType), fault.BadRequest},
		{"BOM (B-27)", post("/", "\ufeff{}", jsonType), fault.BadRequest},
		{"BOM under a form header", post("/", "\ufeff{\"otp\":\"1\"}", formType), fault.BadRequest},
		{"trailing BOM", post("/", "{}\ufeff", jsonType), fault.BadRequest},
		{"comment", post("/", `{"otp":"1"/**/}`, jsonType), fault.BadRequest},
		{"NaN", post("/", `{"otp":NaN}`, jsonType), fault.BadRequest},
		{"single quotes", post("/", `{'otp':'1'}`, jsonType), fault.BadRequest},
		{"UTF-16", post("/", "{\x00}\x00", jsonType), fault.BadRequest},
		{"raw control in a JSON string", post("/", "{\"password\":\"a\nb\"}", jsonType), fault.BadRequest},
		{"an array", post("/", `[{"otp":"1"}]`, jsonType), fault.BadRequest},
		{"a string", post("/", `"otp"`, jsonType), fault.BadRequest},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := readBody(c.r)
			if fault.Of(err) != c.want {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if c.r.PostForm != nil {
				t.Errorf("a refused body left %q", c.r.PostForm)
			}
		})
	}
}

func TestCompressedBodies(t *testing.T) {
	for _, coding := range []string{"gzip", "br", "identity", "gzip, gzip"} {
		r := post("/", "otp=1", formType)
		r.Header.Set("Content-Encoding", coding)
		if err := readBody(r); fault.Of(err) != fault.BadRequest {
			t.Errorf("%s: %v", coding, err)
		}
	}
}

// broken is a body that ends in an error: a chunk with a bare line feed (B-65).
type broken struct{ io.Reader }

func (b broken) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func TestBodyThatBreaksOff(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/", broken{bytes.NewReader([]byte("grant_type=password"))})
	r.Header.Set("Content-Type", formType)
	if err := readBody(r); fault.Of(err) != fault.BadRequest || r.PostForm != nil {
		t.Errorf("a part of a form was taken: %v, %q", err, r.PostForm)
	}
}

// What was sent never stands in a refusal.
func TestRefusalsDoNotEcho(t *testing.T) {
	for _, r := range []*http.Request{
		post("/", "otp=hush%0a", formType), post("/", "otp=hush&otp=hush", formType), post("/", "hush", "hush/hush"),
		post("/", `{"hush":1,"hush":2}`, jsonType), post("/", `{"otp":{"hush":1}}`, jsonType), post("/", `hush`, jsonType),
		post("/?otp=hush", "", formType), post("/", "hush=%zz", formType),
	} {
		if err := readBody(r); err == nil || strings.Contains(describe(err), "hush") {
			t.Errorf("a refusal says: %v", describe(err))
		}
	}
}

// describe is all that a failure could tell anybody.
func describe(err error) string {
	var d *fault.Details
	if errors.As(err, &d) {
		return err.Error() + " " + d.Param
	}
	return err.Error()
}

func FuzzReadForm(f *testing.F) {
	for _, seed := range []string{
		"", "grant_type=password&username=a+b", "otp=1&otp=2", "audience=a&audience=b", "a=1;b=2", "%zz", "%", "username=%ff",
		"password=%00", "=x&&", `{"otp":1}`, "\ufeffotp=1", strings.Repeat("x&", 70),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) { judge(t, post("/", body, formType)) })
}

func FuzzReadJSON(f *testing.F) {
	for _, seed := range []string{
		"{}", `{"grant_type":"password","otp":123456}`, `{"audience":["a",1,null,true]}`, `{"otp":null}`, `{"otp":"\ud800"}`,
		`{"otp":1,"otp":2}`, `{"x":[[[{}]]],"scope":""}`, `{"otp":1e400}`, `{"otp":021589}`, "{\"a\":1}\ufeff", `{"a":1,}`,
		`{"password":"\u0000"}`, `{"audience":[[]]}`, "null", `{"x":"\\"}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) { judge(t, post("/", body, jsonType)) })
}

// judge holds whatever came of a body against what handlers rely on.
func judge(t *testing.T, r *http.Request) {
	t.Helper()
	err := readBody(r)
	if err != nil {
		if k := fault.Of(err); k != fault.BadRequest && k != fault.BodyTooLarge {
			t.Fatalf("refused as %v", k)
		}
		if r.PostForm != nil {
			t.Fatalf("a refused body left %q", r.PostForm)
		}
		return
	}
	for name, values := range r.PostForm {
		kind, ok := knownFields[name]
		if !ok || len(values) == 0 || kind == One && len(values) != 1 {
			t.Fatalf("%q has %q", name, values)
		}
		for _, v := range values {
			if v == "" || !utf8.ValidString(v) || strings.ContainsRune(v, 0) || name != "password" && strings.ContainsAny(v, "\r\n\x7f\u2028") {
				t.Fatalf("%q has %q", name, v)
			}
		}
	}
}
