package console

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
)

// What cannot be taken back is typed out.
func TestConsentIsTyped(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]bool{"totals\n": true, " totals \n": true, "yes\n": false, "": false} {
		c := New(Streams{In: strings.NewReader(in), Err: io.Discard})
		if ok, err := c.typed(t.Context(), "totals"); ok != want || ok != (err == nil) {
			t.Errorf("%q: %v, %v", in, ok, err)
		}
	}
	hang, never := io.Pipe()
	defer func() { _ = never.Close() }()
	c := New(Streams{In: hang, Err: io.Discard})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if ok, err := c.typed(ctx, "totals"); ok || err == nil {
		t.Error("it did not end with its context")
	}
}

func TestConsent(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		given Consent
		word  string
		json  bool
		want  bool
		says  string
		fails string
	}{
		"it can be taken back":   {want: true},
		"--yes":                  {given: Consent{Yes: true}, word: "a_v1", want: true},
		"--dry-run":              {given: Consent{DryRun: true, Yes: true}, word: "a_v1", says: "would drop a_v1\n"},
		"--dry-run --json":       {given: Consent{DryRun: true}, json: true, says: `{"dry_run":true,"would":"drop a_v1"}` + "\n"},
		"there is nobody to ask": {word: "a_v1", fails: "this would drop a_v1: it cannot be taken back, and there is nobody to ask"},
	} {
		c, out, _ := testConsole(nil)
		c.flags.json = test.json
		got, err := c.Agree(t.Context(), &test.given, test.word, "drop %s", "a_v1")
		if got != test.want || out.String() != test.says {
			t.Errorf("%s: %v, and it says %q", name, got, out)
		}
		if said := fmt.Sprint(err); err == nil && test.fails != "" || err != nil && said != test.fails {
			t.Errorf("%s: %v", name, err)
		}
	}
}
