package kv

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

func TestWhatCodesMean(t *testing.T) {
	t.Parallel()
	for code, c := range map[int]struct {
		outcome outcome
		kind    error  // what a refusal matches
		named   string // what it is a sign of
	}{
		codeWrongLastSequence: {outcome: moved},
		codeWriteInProgress:   {outcome: notStored},
		codeMessageTooLarge:   {outcome: refused, kind: store.ErrTooLarge},
		codeHeaderTooLarge:    {outcome: refused, kind: store.ErrTooLarge},
		codeBatchTooLarge:     {outcome: refused, kind: store.ErrTooLarge},
		codeAtomicDisabled:    {outcome: refused, kind: store.ErrInvalid},
		codeAccountFull:       {named: "out of storage: "},
		codeServerFull:        {named: "out of storage: "},
		codeMemoryFull:        {named: "out of storage: "},
		codeStorageFull:       {named: "out of storage: "},
		codeStreamFull:        {named: "out of storage: "},
		codeBatchIncomplete:   {named: "perhaps out of storage: "},
		10008:                 {}, // the cluster has no leader: passes
		10009:                 {}, // this server is not the leader
		10063:                 {}, // a replica applied it out of step
		10167:                 {}, // too many requests
		10210:                 {}, // too many batches under way
		1:                     {}, // what nobody knows proves nothing
	} {
		_, got, err := readAck(fmt.Appendf(nil, `{"error":{"code":500,"err_code":%d,"description":"why"},"seq":0}`, code), 2)
		if got != c.outcome || c.kind != nil && !errors.Is(err, c.kind) || !strings.Contains(err.Error(), "why") {
			t.Errorf("%d is %d, %v; want %d, %v", code, got, err, c.outcome, c.kind)
		}
		named := shortageOf(err, true)
		switch {
		case c.named == "" && named != nil:
			t.Errorf("%d is taken for a sign: %v", code, named)
		case c.named != "" && (named == nil || named.Error() != fmt.Sprintf("%swhy (%d)", c.named, code)):
			t.Errorf("%d is named %v, want %q", code, named, c.named)
		}
	}
	for cause, want := range map[error]bool{nats.ErrTimeout: true, nats.ErrNoResponders: false, errInterrupted: false, context.DeadlineExceeded: false} {
		if got := shortageOf(cause, true) != nil; got != want {
			t.Errorf("%v is a sign: %v, want %v", cause, got, want)
		}
		if named := shortageOf(cause, false); named != nil {
			t.Errorf("%v, of a server that answers nothing, is a sign: %v", cause, named)
		}
	}
}

func TestSignsOfShortage(t *testing.T) {
	t.Parallel()
	full := &apiError{ErrCode: codeStreamFull, Description: "maximum bytes exceeded"}
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var s shortage
	for _, c := range []struct {
		after time.Duration
		cause error
		want  bool
	}{
		{0, nats.ErrNoResponders, false},
		{5 * time.Second, full, false}, // the first sign
		{5*time.Second + shortageWait - 1, full, false},
		{6 * time.Second, nats.ErrNoResponders, false}, // no sign, but no room either
		{6 * time.Second, full, true},
	} {
		if got := s.sign(c.cause, true, began.Add(c.after)); (got != nil) != c.want || got != nil && !errors.Is(got, full) {
			t.Errorf("%v after %v: %v", c.cause, c.after, got)
		}
	}
}

// leader stands in for a bucket's stream: it answers commits as a script says,
// and questions with "not found".
type leader struct {
	commits atomic.Int64
	answer  func(n int64) string // to the n-th commit; "": none
	mute    bool                 // answers no questions
}

func (l *leader) view(t *testing.T) *view {
	t.Helper()
	server, err := embedded.Start(embedded.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	conn, err := server.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	box, err := newInbox(conn)
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	n := namesOf("app", projector.Model{View: "totals", Version: 1})
	v := &view{name: "totals", names: n, bucket: bucket{title: "view totals", at: n.places, conn: conn, js: js, inbox: box}}
	v.at.leaderGet = "leader.get" // where the server does not answer, too
	serve := func(subject string, answer func() string) {
		_, err := conn.Subscribe(subject, func(m *nats.Msg) {
			if m.Reply == "" {
				return // within a batch
			}
			if data := answer(); data != "" {
				_ = m.Respond([]byte(data))
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	serve(v.names.all, func() string { return l.answer(l.commits.Add(1)) })
	serve(v.at.leaderGet, func() string {
		if l.mute {
			return ""
		}
		return `{"error":{"code":404,"err_code":10037,"description":"no message found"}}`
	})
	return v
}

const stored = `{"stream":"S","seq":9,"batch":"b","count":3}`

// times answers a code so many times, and then that the commit is stored.
func times(n int64, code int) func(int64) string {
	return func(nth int64) string {
		if nth > n {
			return stored
		}
		return fmt.Sprintf(`{"error":{"code":503,"err_code":%d,"description":"why"}}`, code)
	}
}

const always = 1 << 40

// What passes by itself is tried until it has passed. What looks like a full
// disk is named soon, and never as anything definite.
func TestCommitsThatAreNotTaken(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		leader *leader
		named  string // "": the commit is stored
		soon   bool
	}{
		"no leader for a moment":          {leader: &leader{answer: times(3, 10008)}},
		"no leader for long":              {leader: &leader{answer: times(always, 10008)}, named: "why (10008)"},
		"a leader changes within a batch": {leader: &leader{answer: times(2, codeBatchIncomplete)}},
		"batches cannot be staged":        {leader: &leader{answer: times(always, codeBatchIncomplete)}, named: "perhaps out of storage: why (10176)", soon: true},
		"full for a moment":               {leader: &leader{answer: times(4, codeStreamFull)}},
		"full":                            {leader: &leader{answer: times(always, codeStreamFull)}, named: "out of storage: why (10077)", soon: true},
		"the server is full":              {leader: &leader{answer: times(always, codeServerFull)}, named: "out of storage: why (10023)", soon: true},
		"one commit is not answered": {leader: &leader{answer: func(n int64) string {
			if n == 1 {
				return ""
			}
			return stored
		}}},
		"no commit is answered": {leader: &leader{answer: func(int64) string { return "" }}, named: "perhaps out of storage: the server answers questions and no writes", soon: true},
		"nothing is answered":   {leader: &leader{answer: func(int64) string { return "" }, mute: true}, named: "timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := c.leader.view(t)
			patience := time.Minute
			if c.named != "" && !c.soon {
				patience = 8 * time.Second
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			docs := []projector.Document{{Key: "a", Document: []byte("1")}, {Key: "b", Document: []byte("1")}}
			got, err := v.Commit(ctx, projector.Write{Checkpoint: projector.Checkpoint{Worker: "0"}, Documents: docs})
			waited := ctx.Err() != nil
			if c.named == "" {
				if err != nil || got.Revision != 9 {
					t.Errorf("revision %d, %v", got.Revision, err)
				}
				return
			}
			if !errors.Is(err, store.ErrUnknown) || !strings.Contains(err.Error(), c.named) {
				t.Errorf("%v, want %q and ErrUnknown", err, c.named)
			}
			if c.soon == waited {
				t.Errorf("it was waited for to the end: %v; to be said before: %v", waited, c.soon)
			}
			if !c.soon && strings.Contains(err.Error(), "out of storage") {
				t.Errorf("%v is no sign of a full disk", err)
			}
		})
	}
}
