package gateway_test

import (
	"testing"

	"github.com/sallyport/sallyport/pkg/gateway/gatewaytest"
)

func TestMain(m *testing.M) { gatewaytest.Main(m) }
