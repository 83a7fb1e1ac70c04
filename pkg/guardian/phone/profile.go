package phone

import (
	"encoding/json"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Profile is an app that the phone plays: one of the public SDKs at one of its ages, or
// the page that approves in a browser.
type Profile string

// The profiles; spec guardian-devices, section 17.
const (
	Android   Profile = "android"     // Guardian.Android 0.10
	Android02 Profile = "android-0.2" // before the aud of a call was its URL
	Swift     Profile = "swift"       // Guardian.swift 1.9
	Swift01   Profile = "swift-0.1"   // before typed decoding
	Web       Profile = "web"         // a page with a key of WebCrypto, reached by web push
)

// Profiles are all that there are.
func Profiles() []Profile { return []Profile{Android, Android02, Swift, Swift01, Web} }

// Service is the push service that the app names when it enrolls: Android's says GCM
// although it is FCM.
func (p Profile) Service() string { return apps[p].service }

// SendsCodes reports whether the app can send the code that a page shows
// ("code_to_phone"); the SDKs cannot.
func (p Profile) SendsCodes() bool { return apps[p].codes }

// The segment of a path under which the newer SDKs call.
const prefix = "appliance-mfa"

// An app is what one profile does in its own way.
type app struct {
	algorithm string
	service   string
	// base is what the app makes of the URL that its author gave it, without a slash at the
	// end.
	base func(*url.URL) string
	// audience is the aud of an answer, of the URL as typed, that base and the path of the
	// call.
	audience func(typed, base, call string) string
	stamp    func(time.Time) json.Number
	escapes  *strings.Replacer // of what its JSON encoder escapes without need
	header   string            // the order of members in the header of a JWT
	claims   string            // and of those of an answer
	scan     func(string) (string, error)
	reads    reader

	headers  map[string]string
	typed    string // the Content-Type of a body
	capitals bool   // of UUIDs
	opaque   bool   // calls device-accounts with the token of its enrollment, not with a JWT
	links    bool   // reads txlnkid
	codes    bool   // sends gw_binding_code
}

// apps is the table of section 17, with what sections 2 to 9 say of each row.
var apps = map[Profile]app{
	Android: {
		algorithm: rs256, service: "GCM", base: androidBase, audience: fullAudience, stamp: seconds, escapes: gson,
		header: "typ alg jwk", claims: androidClaims, scan: scanLoosely, reads: androidReader,
		headers: map[string]string{
			"Auth0-Client":    auth0Client("Guardian.Android", "0.10.2", true),
			"User-Agent":      "GuardianSDK/0.10.2 Android 16",
			"Accept-Language": "en_US", // Java's, and not BCP 47
		},
		typed: "application/json; charset=utf-8", links: true,
	},
	Android02: {
		algorithm: rs256, service: "GCM", base: plainBase, stamp: seconds, escapes: gson,
		audience: func(_, base, _ string) string { return base + "/" },
		header:   "typ alg", claims: androidClaims, scan: scanLoosely, reads: androidReader,
		headers: map[string]string{
			"Auth0-Client":    auth0Client("Guardian.Android", "0.2.0", false),
			"User-Agent":      "GuardianSDK/0.2.0 Android 7.1",
			"Accept-Language": "en_US",
		},
		typed: "application/json; charset=utf-8", opaque: true,
	},
	Swift: {
		algorithm: rs256, service: "APNS", base: swiftBase, audience: fullAudience, stamp: fractions, escapes: slashes,
		header: "alg typ jwk", claims: swiftClaims, scan: scanStrictly, reads: swiftReader,
		headers: map[string]string{
			"Auth0-Client":    auth0Client("Guardian.swift", "1.9.2", true),
			"User-Agent":      "Sallyport/1 CFNetwork/3826.500.131 Darwin/24.5.0",
			"Accept":          "*/*",
			"Accept-Language": "en-US,en;q=0.9",
		},
		typed: "application/json", capitals: true, links: true,
	},
	Swift01: {
		algorithm: rs256, service: "APNS", base: plainBase, stamp: fractions, escapes: slashes,
		audience: func(typed, _, _ string) string { return typed },
		header:   "alg typ", claims: swiftClaims, scan: scanStrictly, reads: oldSwiftReader,
		headers: map[string]string{
			"Auth0-Client":    auth0Client("Guardian.swift", "0.1.0", false),
			"User-Agent":      "Sallyport/1 CFNetwork/808.2.16 Darwin/16.3.0",
			"Accept":          "*/*",
			"Accept-Language": "en-us",
		},
		typed: "application/json", capitals: true, opaque: true,
	},
	Web: {
		algorithm: es256, service: "WEBPUSH", base: androidBase, audience: fullAudience, stamp: seconds, escapes: strings.NewReplacer(),
		header: "alg typ jwk", claims: webClaims, scan: scanLoosely, reads: webReader,
		headers: map[string]string{
			"User-Agent":      "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
			"Accept":          "application/json",
			"Accept-Language": "en-US,en;q=0.5",
		},
		typed: "application/json", links: true, codes: true,
	},
}

// The orders of the claims of an answer; nobody may depend on one (section 3.2).
const (
	androidClaims = "aud sub auth0_guardian_accepted auth0_guardian_method auth0_guardian_reason iss exp iat"
	swiftClaims   = "sub aud auth0_guardian_reason iat iss auth0_guardian_accepted exp auth0_guardian_method"
	webClaims     = "aud sub iss iat exp auth0_guardian_method auth0_guardian_accepted auth0_guardian_reason gw_binding_code"
)

var (
	// gson is what Android's encoder escapes.
	gson = strings.NewReplacer("=", `\u003d`, "'", `\u0027`, "<", `\u003c`, ">", `\u003e`, "&", `\u0026`)
	// slashes is what Swift's does.
	slashes = strings.NewReplacer("/", `\/`)
)

// auth0Client is the header that says which SDK calls; env came later (section 2.3).
func auth0Client(name, version string, env bool) string {
	says := object{{"name", name}, {"version", version}}
	if env {
		says = append(says, member{"env", object{{"appName", "sallyport device"}, {"appVersion", "1"}}})
	}
	text, err := says.MarshalJSON()
	if err != nil {
		panic(err) // strings can be encoded
	}
	return encoded(text)
}

// seconds is a date as Android writes it.
func seconds(t time.Time) json.Number { return json.Number(strconv.FormatInt(t.Unix(), 10)) }

// fractions is a date as Swift writes it.
func fractions(t time.Time) json.Number {
	const micro = 1e6
	return json.Number(strconv.FormatFloat(float64(t.UnixMicro())/micro, 'f', -1, 64))
}

func fullAudience(_, base, call string) string { return base + call }

// theirs are the hosts of the vendor's own service below which nothing is added. Android
// looks at the host, Swift at the whole text (section 2.1).
var (
	theirs      = regexp.MustCompile(`^guardian\.[^.]+\.auth0\.com$`)
	theirsSwift = regexp.MustCompile(`guardian\.[^./]+\.auth0\.com`)
)

const theirsSuffix = "guardian.auth0.com"

// plainBase is that of an app from before the prefix.
func plainBase(u *url.URL) string { return strings.TrimRight(u.String(), "/") }

func androidBase(u *url.URL) string {
	host := u.Hostname()
	if strings.Contains(u.Path, "/"+prefix) || strings.HasSuffix(host, theirsSuffix) || theirs.MatchString(host) {
		return plainBase(u)
	}
	return plainBase(u) + "/" + prefix
}

func swiftBase(u *url.URL) string {
	text := plainBase(u)
	if path.Base(u.Path) == prefix || strings.HasSuffix(text, theirsSuffix) || theirsSwift.MatchString(text) {
		return text
	}
	return text + "/" + prefix
}

// consentURL is where a consent is read: never below the prefix.
func consentURL(base, id string) (string, error) {
	u, err := url.Parse(base)
	if err != nil {
		return "", err
	}
	segments := strings.Split(strings.Trim(u.EscapedPath(), "/"), "/")
	segments = slices.DeleteFunc(segments, func(s string) bool { return s == prefix || s == "" })
	if strings.HasSuffix(u.Hostname(), "auth0.com") {
		u.Host = strings.Replace(u.Host, ".guardian", "", 1)
	}
	at := url.URL{Scheme: u.Scheme, Host: u.Host}
	for _, s := range append(segments, "rich-consents", url.PathEscape(id)) {
		at.Path += "/" + s
	}
	return at.Scheme + "://" + at.Host + at.Path, nil
}
