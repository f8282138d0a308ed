package node

import (
	"context"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/store"
)

func refusalOf(text string) error {
	return fmt.Errorf("%w: Permissions Violation for %s", nats.ErrPermissionViolation, text)
}

// A refusal explains the silence at its own subject, and one of answers all of it. A node that is not there is not
// taken for a refusal of something else.
func TestARefusalExplainsItsOwnSilence(t *testing.T) {
	t.Parallel()
	away := fmt.Errorf("bank.ctl.info got no answer: %w", store.ErrUnavailable)
	for _, c := range []struct {
		refused  string
		err      error
		explains bool
	}{
		{`Publish to "bank.ctl.info"`, away, true},
		{`Publish to "bank.ctl.inf"`, away, false},
		{`Publish to "bank.ctl.dlq.ls"`, away, false},
		{`Publish to "$JS.API.STREAM.INFO.ANNALS_bank_events"`, away, false},
		{`Subscription to "_INBOX.x.*"`, away, true},
		{`Publish to "bank.ctl.info"`, fmt.Errorf("%w: %w", away, nats.ErrNoResponders), false},
		{`Publish to "$JS.API.STREAM.INFO.ANNALS_bank_events"`, context.DeadlineExceeded, true}, // which names nothing
		{`Publish to "bank.prt.7.cmd.account.ann.open"`, fmt.Errorf("bank.cmd.account.ann.open got no answer: %w: %w", store.ErrUnknown, store.ErrUnavailable), true},
	} {
		s, _, _ := testSession(nil)
		s.noteRefusal(nil, nil, refusalOf(c.refused))
		if refused := s.refusalBehind(c.err); (refused != nil) != c.explains {
			t.Errorf("%s, then %v: it is told to come of %v", c.refused, c.err, refused)
		}
	}
}
