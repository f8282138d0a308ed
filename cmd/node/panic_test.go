package node

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cmd/node/console"
)

// A panic of the application's code in a command is logged where the command runs.
func TestPanicOfACommandIsLogged(t *testing.T) {
	t.Parallel()
	var logged bytes.Buffer
	s := newSession(App{Name: "bank"}, Streams{Err: &logged})
	s.prepared = true
	if err := console.Prepare(s.Console, nil); err != nil {
		t.Fatal(err)
	}
	cause := &actor.PanicError{In: "upcast", Event: "opened", Schema: 1, Value: errors.New("no rate of exchange"), Stack: []byte("upcast.go:7")}
	f := explain(t.Context(), s, fmt.Errorf("account/ann version 2: %w", cause))
	if want := "account/ann version 2: internal error: upcast (event opened v1) panicked"; f.What != want {
		t.Errorf("it says %q, want %q", f.What, want)
	}
	for _, want := range []string{"aggregate panicked", "account/ann version 2", "no rate of exchange", "upcast.go:7", `"event":"opened"`} {
		if !strings.Contains(logged.String(), want) {
			t.Errorf("logged is %q, want %q in it", logged.String(), want)
		}
	}
}
