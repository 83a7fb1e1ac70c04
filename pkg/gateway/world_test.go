package gateway_test

import (
	"github.com/sallyport/sallyport/pkg/audit"
	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
)

// event is what an administrator's change leaves in the record.
func event(w *gatewaytest.World) audit.Event {
	return audit.Event{At: w.Clock.Now(), Type: audit.UserChanged, Success: true, Grant: "test"}
}
