package privacy_test

import (
	"testing"

	"github.com/annals-go/annals/store/privacy"
	"github.com/annals-go/annals/store/privacy/privacytest"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	privacytest.Run(t, privacytest.Harness{Open: func(*testing.T) privacytest.Store {
		m := privacy.NewMemory()
		return privacytest.Store{Keys: m, Holds: func(_ *testing.T, secret []byte) bool { return m.Holds(secret) }}
	}})
}
