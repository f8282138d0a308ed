package node

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

// Who waited for streams that nobody answered about is told who makes them, if they were not there.
func TestUnprovisionedNamespace(t *testing.T) {
	t.Parallel()
	s := &Session{app: App{Name: "bank"}}
	s.flags.namespace = "shop"
	silent := fmt.Errorf("open log of shop: %w", store.ErrUnavailable)
	for _, c := range []struct {
		absent bool
		err    error
		told   bool
	}{{true, silent, true}, {false, silent, false}, {true, store.ErrInvalid, false}} {
		err := (&member{session: s, absent: c.absent}).unprovisioned(c.err)
		f, told := errors.AsType[*Failure](err)
		if told != c.told || !errors.Is(err, c.err) {
			t.Errorf("absent %v, %v: told %v", c.absent, c.err, err)
		}
		if told && (f.Code != gateway.CodeUnavailable || !strings.Contains(f.Fix, "bank provision --ns shop")) {
			t.Errorf("told %+v", f)
		}
	}
}
