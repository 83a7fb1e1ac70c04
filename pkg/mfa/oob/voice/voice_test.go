package voice_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/pkg/mfa/oob"
	"github.com/sallyport/sallyport/pkg/mfa/oob/phone"
	"github.com/sallyport/sallyport/pkg/mfa/oob/phone/phonetest"
	"github.com/sallyport/sallyport/pkg/mfa/oob/voice"
	"github.com/sallyport/sallyport/pkg/mfa/oob/wording"
	"github.com/sallyport/sallyport/pkg/secret"
)

// TestCall: the digits one by one and twice, in the language of who answers, whichever
// service makes the call (S-9).
func TestCall(t *testing.T) {
	texts, err := wording.New(wording.Config{Locale: "en"})
	if err != nil {
		t.Fatal(err)
	}
	hook, twilio := phonetest.NewWebhook(t, time.Now), phonetest.NewTwilio(t)
	for _, tt := range []struct {
		service        phone.Service
		next           func(testing.TB) phonetest.Message
		locale, spoken string
		text           string
	}{
		{hook.Service(), hook.Next, "en", "en", "This is Example & Sons with your code."},
		{hook.Service(), hook.Next, "de", "de", "Hier ist Example & Sons mit Ihrem Code."},
		{twilio.Service(), twilio.Next, "", "en-US", "This is Example & Sons with your code."},
		{twilio.Service(), twilio.Next, "de-CH", "de-DE", "Hier ist Example & Sons mit Ihrem Code."},
	} {
		c, err := voice.New(phone.VoiceConfig{Config: phone.Config{Service: tt.service}}, phone.Rules{PerUser: 10}, texts, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		if a := c.About(); a.Name != "voice" || a.Kind != "phone" || len(a.Methods) != 1 || a.Methods[0] != "tel" {
			t.Errorf("%+v", a)
		}
		err = c.Send(t.Context(), oob.Message{ID: "chl_" + tt.locale, To: secret.New("+4915550100042"), Code: secret.New("012345"),
			Service: "Example & Sons", Host: "app.example.com", Client: "spa", Locale: tt.locale, ExpiresIn: 5 * time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		got := tt.next(t)
		if got.Channel != "voice" || got.Code != "012345" || got.To != "+4915550100042" || got.Language != tt.spoken ||
			!strings.Contains(got.Text, tt.text) || strings.Count(got.Text, "0, 1, 2, 3, 4, 5") != 2 || strings.Contains(got.Text, "012345") {
			t.Errorf("%+v", got)
		}
	}
}
