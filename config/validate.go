package config

import (
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"time"

	"github.com/sallyport/sallyport/config/strict"
	"github.com/sallyport/sallyport/pkg/server"
	"github.com/sallyport/sallyport/pkg/signer"
)

// Bounds of lifetimes.
const (
	longestAccess  = signer.LongestLife
	longestRefresh = 365 * 24 * time.Hour
)

// Validate reports everything that is wrong, each error as "key: text".
func (l Lifetimes) Validate() error {
	errs := []error{l.MFA.Validate()}
	check := func(key string, value, longest time.Duration) {
		if value < time.Second || value > longest {
			errs = append(errs, fmt.Errorf("%s: must be between 1s and %s", key, strict.Short(longest)))
		}
	}
	check("access_token", l.AccessToken, longestAccess)
	check("id_token", l.IDToken, longestAccess)
	check("refresh_token", l.RefreshToken, longestRefresh)
	return errors.Join(errs...)
}

// Validate reports everything that is wrong, each error as "key: text": what the package of
// each channel says of its section.
func (d Delivery) Validate() error {
	var errs []error
	section := reflect.ValueOf(d)
	for _, f := range strict.Fields(section.Type()) {
		if v := f.In(section); !v.IsNil() {
			errs = append(errs, inside(f.Key, v.Interface().(interface{ Validate() error }).Validate()))
		}
	}
	return errors.Join(errs...)
}

// inside puts the name of a section before each error of its Validate.
func inside(section string, err error) error {
	if err == nil {
		return nil
	}
	var errs []error
	for line := range strings.SplitSeq(err.Error(), "\n") {
		errs = append(errs, errors.New(section+"."+line))
	}
	return errors.Join(errs...)
}

func httpsOrLoopback(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "":
		return errors.New("must be a URL with a host")
	case u.User != nil || u.Fragment != "":
		return errors.New("must have neither a user nor a fragment")
	case u.Scheme != "https" && (u.Scheme != "http" || !server.Loopback(u.Hostname())):
		return errors.New("must begin with https://; http:// is for loopback hosts only")
	}
	return nil
}
