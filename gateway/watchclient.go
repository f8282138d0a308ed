package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// Watch yields the documents of a view that w wants, as they are and then as
// they change; a deleted one comes without value. See [projector.Group.Watch]
// for what it promises. When the view moves to another node, or that fails, it
// goes on there by itself after what has come; when another model is served, even
// if that happened while it was interrupted, it begins anew, and all documents of
// that come. With w.Progress it says so first, by a document with neither key nor
// model, at position 0: what has not come again when the next one names a model
// is not there any more.
//
// The last pair has the error: ctx's; projector.ErrSlow if the loop did not take
// what came for some seconds; projector.ErrNoView, [store.ErrInvalid] and what
// else no repetition changes; and, as long as nothing has come yet, what keeps it
// from beginning within the client's Timeout.
func (c *Client) Watch(ctx context.Context, view string, w projector.Watch) iter.Seq2[projector.Document, error] {
	return func(yield func(projector.Document, error) bool) {
		subject, err := c.subjects.watch(view, w)
		if err == nil {
			err = (&watch{client: c, subject: subject, want: w, yield: yield}).run(ctx)
		}
		if !errors.Is(err, errGone) {
			yield(projector.Document{}, err)
		}
	}
}

func (s subjects) watch(view string, w projector.Watch) (string, error) {
	if err := store.ValidateName("view", view); err != nil {
		return "", err
	}
	subject := s.namespace + "." + pathWatch + view
	if w.Key == "" {
		return subject, nil
	}
	if w.Prefix != "" {
		return "", &store.InvalidError{What: "watch", Value: w.Key, Reason: "either a key or a prefix"}
	}
	token, err := store.EncodeToken(w.Key)
	return subject + "." + token, err
}

const (
	// watchWindow is how many changes may come before they are taken.
	watchWindow = 256
	// watchPatience is how long a stream may be silent. It says something every
	// other second.
	watchPatience = 10 * time.Second
)

// errLost says that messages of a stream were lost, or that no more come.
var errLost = errors.New("the stream was lost")

// watch is a watch on the asker's side.
type watch struct {
	client  *Client
	subject string
	want    projector.Watch // After, Model and Min are where it goes on
	yield   func(projector.Document, error) bool
	begun   bool // something has come
}

// run has one stream after the other, until ctx ends or an error that stays.
func (w *watch) run(ctx context.Context) error {
	begin, cancel := w.client.withTimeout(ctx)
	defer cancel()
	pause := w.client.config.MinBackoff
	for {
		had := w.want.After
		err := w.follow(ctx)
		switch {
		case ctx.Err() != nil && !errors.Is(err, errGone):
			return ctx.Err()
		case errors.Is(err, projector.ErrSwitched):
			w.want.After, w.want.Model, w.want.Min = 0, "", max(w.want.Min, w.want.After)
			if w.want.Progress && !w.yield(projector.Document{}, nil) {
				return errGone
			}
		case !isPassing(err) || !w.begun && begin.Err() != nil:
			return err
		}
		if w.want.After != had {
			pause = w.client.config.MinBackoff
		}
		rest(ctx, pause)
		pause = min(2*pause, w.client.config.MaxBackoff)
	}
}

// isPassing reports whether another stream may go on after an error.
func isPassing(err error) bool {
	if errors.Is(err, projector.ErrSlow) || errors.Is(err, errGone) {
		return false
	}
	e, ok := errors.AsType[*Error](err)
	return ok && e.Retryable || errors.Is(err, errLost)
}

// follow has one stream, to its end.
func (w *watch) follow(ctx context.Context) error {
	s, err := w.begin(ctx)
	if err != nil {
		return err
	}
	defer s.stop()
	for patience := w.client.config.Timeout; ; patience = watchPatience {
		m, err := s.next(ctx, patience)
		if err != nil {
			return err
		}
		w.begun = true
		if m.Type == typeWatchChange && !w.yield(*m.Document, nil) {
			return errGone
		}
		if s.took(m); m.Begun {
			w.want.After, w.want.Model = max(w.want.After, m.Resume), m.Model
		}
		if m.Type == typeWatchProgress && m.Begun && w.want.Progress && !w.yield(projector.Document{Position: m.Resume, Model: m.Model}, nil) {
			return errGone
		}
	}
}

// begin asks for a stream.
func (w *watch) begin(ctx context.Context) (*receiver, error) {
	ask := watchRequest{Prefix: w.want.Prefix, After: w.want.After, Model: w.want.Model, Window: watchWindow}
	data, err := json.Marshal(ask)
	if err != nil {
		return nil, err
	}
	conn := w.client.config.Conn
	s := &receiver{conn: conn, messages: make(chan *nats.Msg, 2*watchWindow), broken: conn.StatusChanged(nats.RECONNECTING)}
	inbox := conn.NewInbox()
	if s.sub, err = conn.Subscribe(inbox, s.deliver); err != nil {
		conn.RemoveStatusListener(s.broken)
		return nil, inferred(CodeUnavailable, err, "%s was not sent", w.subject)
	}
	m := &nats.Msg{Subject: w.subject, Reply: inbox, Header: since(w.want.Min), Data: data}
	patient, cancel := context.WithTimeout(ctx, w.client.config.Timeout)
	defer cancel()
	m.Header[HeaderDeadline] = []string{patience(patient)}
	w.client.authorize(ctx, m.Header)
	if err := conn.PublishMsg(m); err != nil {
		s.stop()
		return nil, inferred(CodeUnavailable, err, "%s was not sent", w.subject)
	}
	return s, nil
}

// receiver takes in one stream.
type receiver struct {
	conn     *nats.Conn
	sub      *nats.Subscription
	messages chan *nats.Msg
	broken   chan nats.Status // has something when the connection is
	taken    atomic.Uint64    // number of the last change that was taken
	told     uint64           // the last number that was confirmed
	control  string           // the subject to confirm on
}

// deliver never blocks. It answers each beat with what was taken so far: that
// says that somebody is there, however long one change takes.
func (s *receiver) deliver(m *nats.Msg) {
	if m.Reply != "" && m.Header.Get(HeaderWatch) == typeWatchProgress {
		s.confirm(m.Reply)
	}
	select {
	case s.messages <- m:
	default: // the next number tells that one is missing
	}
}

func (s *receiver) confirm(control string) {
	_ = s.conn.Publish(control, strconv.AppendUint(nil, s.taken.Load(), 10)) // or at the next beat
}

// next waits for a message that is the next one.
func (s *receiver) next(ctx context.Context, patience time.Duration) (m watchMessage, err error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return m, ctx.Err()
	case <-timer.C:
		return m, inferred(CodeUnavailable, errLost, "nothing came for %v", patience)
	case <-s.broken:
		return m, inferred(CodeUnavailable, errLost, "the connection was lost")
	case raw := <-s.messages:
		return s.read(raw)
	}
}

func (s *receiver) read(raw *nats.Msg) (m watchMessage, err error) {
	if len(raw.Data) == 0 && raw.Header.Get("Status") == noResponders {
		return m, inferred(CodeUnavailable, nats.ErrNoResponders, "the question reached nobody")
	}
	if e := readError(raw); e != nil {
		return m, e
	}
	if err := json.Unmarshal(raw.Data, &m); err != nil {
		return m, inferred(CodeInternal, err, "a message cannot be read")
	}
	want := s.taken.Load()
	switch {
	case m.Type == typeWatchChange && m.Document != nil:
		want++
		if string(m.Document.Document) == "null" {
			m.Document.Document = nil
		}
	case m.Type != typeWatchProgress:
		return m, inferred(CodeInternal, nil, "a message is of type %q", strings.ToValidUTF8(m.Type, "?"))
	}
	if m.Sequence != want {
		return m, inferred(CodeUnavailable, errLost, "change %d came, want %d", m.Sequence, want)
	}
	s.control = raw.Reply
	return m, nil
}

// took notes that a message was taken, and confirms half a window at a time.
func (s *receiver) took(m watchMessage) {
	s.taken.Store(m.Sequence)
	if m.Sequence-s.told >= watchWindow/2 {
		s.told = m.Sequence
		s.confirm(s.control)
	}
}

// stop tells the other side that no more is wanted.
func (s *receiver) stop() {
	s.conn.RemoveStatusListener(s.broken)
	_ = s.sub.Unsubscribe() // fails only if the connection is closed, which ends it too
	if s.control != "" {
		_ = s.conn.Publish(s.control, []byte(watchStop)) // or a server will say so
	}
}
