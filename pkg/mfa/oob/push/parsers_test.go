package push

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// seen is what an app gets to know of a push.
type seen struct {
	token, device, challenge, host string
	at                             time.Time
	browser, os                    Software
	place                          string
	located                        bool
	latitude, longitude            float64
	consent                        string
}

var threeDecimals = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`)

// date reads a time as both SDKs do.
func date(s string) (time.Time, error) {
	if !threeDecimals.MatchString(s) {
		return time.Time{}, fmt.Errorf("the date %q is dropped", s)
	}
	return time.Parse("2006-01-02T15:04:05.000Z", s)
}

// parseAndroid reads the data of a push as the SDK for Android does (Guardian, 7.1).
func parseAndroid(data map[string]string) (s seen, err error) {
	for _, key := range []string{"txtkn", "dai", "c", "d", "sh"} {
		if data[key] == "" {
			return s, fmt.Errorf("no push of Guardian: %s is missing", key)
		}
	}
	s = seen{token: data["txtkn"], device: data["dai"], challenge: data["c"], consent: data["txlnkid"]}
	if s.at, err = date(data["d"]); err != nil {
		return s, err
	}
	if s.host, err = androidHost(data["sh"]); err != nil {
		return s, err
	}
	var source struct{ B, OS struct{ N, V string } }
	if err := json.Unmarshal([]byte(data["s"]), &source); err != nil {
		return s, fmt.Errorf("an exception is logged: s: %w", err)
	}
	s.browser, s.os = Software(Software{source.B.N, source.B.V}), Software{source.OS.N, source.OS.V}
	l, ok := data["l"]
	if !ok {
		return s, nil
	}
	var location struct {
		N         string
		Lat, Long any
	}
	if err := json.Unmarshal([]byte(l), &location); err != nil {
		return s, fmt.Errorf("an exception is logged: l: %w", err)
	}
	s.place = location.N
	s.latitude, s.longitude, s.located, err = coordinates(location.Lat, location.Long)
	return s, err
}

// androidHost is the URL that the SDK for Android makes of sh.
func androidHost(sh string) (string, error) {
	if !strings.Contains(sh, "://") {
		if strings.Contains(sh, ":") {
			return "", fmt.Errorf("the app dies of %q", sh)
		}
		sh = "https://" + sh
	}
	u, err := url.Parse(sh)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("the app dies of %q", sh)
	}
	return strings.TrimRight(u.String(), "/") + "/", nil
}

// coordinates are both numbers, or both numbers in strings.
func coordinates(lat, long any) (latitude, longitude float64, located bool, err error) {
	if lat == nil && long == nil {
		return 0, 0, false, nil
	}
	var out [2]float64
	for i, v := range []any{lat, long} {
		text, ok := v.(string)
		if !ok {
			return 0, 0, false, fmt.Errorf("half a pair of coordinates: %v", v)
		}
		if out[i], err = strconv.ParseFloat(text, 64); err != nil {
			return 0, 0, false, err
		}
	}
	return out[0], out[1], true, nil
}

// parseSwift reads a push as the SDK for iOS does (Guardian, 7.1 and 7.3).
func parseSwift(payload []byte) (s seen, err error) {
	type part *struct{ N, V *string }
	var p struct {
		APS struct {
			Category string
			Alert    struct{ Title, Subtitle, Body string }
		}
		MFA struct {
			TxTkn, DAI, C, D, SH, TxLnkID *string
			S                             struct{ B, OS part }
			L                             struct {
				N         *string
				Lat, Long any
			}
		}
	}
	if err := json.Unmarshal(payload, &p); err != nil {
		return s, err
	}
	m := p.MFA
	if p.APS.Category != "com.auth0.notification.authentication" || p.APS.Alert.Body == "" {
		return s, fmt.Errorf("ignored: %q", p.APS)
	}
	for i, required := range []*string{m.TxTkn, m.DAI, m.C, m.D, m.SH} {
		if required == nil || *required == "" {
			return s, fmt.Errorf("no push of Guardian: required member %d is missing", i)
		}
	}
	s = seen{token: *m.TxTkn, device: *m.DAI, challenge: *m.C, place: text(m.L.N), consent: text(m.TxLnkID)}
	if s.at, err = date(*m.D); err != nil {
		return s, err
	}
	for part, into := range map[part]*Software{m.S.B: &s.browser, m.S.OS: &s.os} {
		if part != nil && part.N != nil {
			*into = Software{*part.N, text(part.V)}
		}
	}
	s.host = swiftURL(*m.SH)
	s.latitude, s.longitude, s.located, err = coordinates(m.L.Lat, m.L.Long)
	return s, err
}

// swiftURL is the URL that the SDK for iOS makes of sh when the app gives it back as its
// domain: https is added unless it begins with http already.
func swiftURL(sh string) string {
	if !strings.HasPrefix(sh, "http") {
		sh = "https://" + sh
	}
	return strings.TrimRight(sh, "/") + "/"
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
