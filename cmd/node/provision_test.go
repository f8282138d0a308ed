package node

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

// Who waited for streams that nobody answered about is told who makes them, if they were not there.
func TestUnprovisionedNamespace(t *testing.T) {
	t.Parallel()
	s := &Session{app: App{Name: "bank"}}
	s.flags.namespace = "shop"
	silent := fmt.Errorf("open log of shop: %w", store.ErrUnavailable)
	denied := fmt.Errorf("the NATS server says: %w", nats.ErrPermissionViolation)
	for _, c := range []struct {
		absent bool
		err    error
		code   gateway.Code
	}{{true, silent, gateway.CodeUnavailable}, {false, silent, ""}, {true, store.ErrInvalid, ""}, {true, denied, codeNoPermit}, {false, denied, codeNoPermit}} {
		err := (&member{session: s, absent: c.absent}).unprovisioned(c.err)
		f, told := errors.AsType[*Failure](err)
		if told != (c.code != "") || !errors.Is(err, c.err) {
			t.Errorf("absent %v, %v: told %v", c.absent, c.err, err)
		}
		if told && (f.Code != c.code || !strings.Contains(f.Fix, "bank provision --ns shop")) {
			t.Errorf("told %+v", f)
		}
	}
}
