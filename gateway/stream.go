package gateway

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// stream is a watch on its way to its asker. What it sends is numbered; an
// asker that named a window confirms what it has taken, and gets no more than
// that beyond it. All of them hear something at each beat, and a server says
// when nobody is there any more to hear it.
type stream struct {
	request *request
	window  uint64 // how many changes may be unconfirmed; 0: any number
	beat    time.Duration
	items   chan item

	control string // the subject to confirm on
	ear     ear

	begun  bool           // everything that was there has been sent
	sent   uint64         // number of the last change sent
	resume store.Position // everything up to it has been sent
	model  string         // of this model
	roomAt time.Time      // when there was last room in the window
}

// item is a document that changed, progress, or the end.
type item struct {
	document projector.Document
	err      error
}

// silentBeats is for how many beats an asker that confirms may say nothing, or
// leave no room in its window.
const silentBeats = 5

// errGone ends the stream to an asker that is not there any more, or wants no
// more.
var errGone = errors.New("the watcher left")

func newStream(r *request, window int, beat time.Duration) *stream {
	return &stream{
		request: r, window: uint64(window), beat: beat, items: make(chan item), roomAt: time.Now(),
		ear: ear{heard: time.Now(), said: make(chan struct{}, 1)},
	}
}

// take takes from the view one thing after the other. While it is not sent the
// view goes on without this watcher, and one day drops it.
func (s *stream) take(ctx context.Context, changes iter.Seq2[projector.Document, error]) {
	for d, err := range changes {
		select {
		case s.items <- item{d, err}:
		case <-ctx.Done():
			return
		}
	}
}

// next waits for the first thing to send.
func (s *stream) next(ctx context.Context) (item, error) {
	select {
	case first := <-s.items:
		return first, first.err
	case <-ctx.Done():
		return item{}, fmt.Errorf("%w: what the view has is being read", context.Cause(ctx))
	}
}

// run sends until the view, the asker or the gateway ends it.
func (s *stream) run(ctx context.Context, ending <-chan struct{}, first item) error {
	beat := time.NewTicker(s.beat)
	defer beat.Stop()
	err := s.send(first)
	for err == nil {
		items := s.items
		if s.isFull() {
			items = nil
		} else {
			s.roomAt = time.Now()
		}
		select {
		case it := <-items:
			err = s.send(it)
		case <-s.ear.said:
			if s.ear.isGone() {
				err = errGone
			}
		case <-beat.C:
			err = s.tick()
		case <-ending:
			err = errLeaving
		case <-ctx.Done():
			err = errLeaving
			if cause := context.Cause(ctx); errors.Is(cause, ErrUnauthenticated) {
				err = cause
			}
		}
	}
	return err
}

func (s *stream) isFull() bool { return s.window > 0 && s.sent-s.ear.confirmed() >= s.window }

func (s *stream) send(it item) error {
	switch {
	case it.err != nil:
		return it.err
	case it.document.Key != "":
		s.sent++
		return s.publish(watchMessage{Type: typeWatchChange, Sequence: s.sent, Resume: s.resume, Begun: s.begun, Model: s.model, Document: &it.document})
	}
	s.resume, s.model = it.document.Position, it.document.Model
	if s.begun {
		return nil // the next message says so
	}
	s.begun = true
	return s.tell()
}

// tick tells that the stream is alive, and looks whether the asker is, and whether it
// may still see.
func (s *stream) tick() error {
	if err := s.request.stillHolds(); err != nil {
		return err
	}
	if s.window > 0 {
		long := time.Now().Add(-silentBeats * s.beat)
		if s.ear.lastHeard().Before(long) {
			return fmt.Errorf("%w: nothing was heard of it", projector.ErrSlow)
		}
		if s.roomAt.Before(long) {
			return fmt.Errorf("%w: %d changes are not confirmed", projector.ErrSlow, s.window)
		}
	}
	return s.tell()
}

func (s *stream) tell() error {
	return s.publish(watchMessage{Type: typeWatchProgress, Sequence: s.sent, Resume: s.resume, Begun: s.begun, Model: s.model})
}

func (s *stream) publish(m watchMessage) error {
	data, err := encode(store.JSON, m)
	if err != nil {
		return err
	}
	if limit := s.request.gateway.maxReplyBytes(); len(data) > limit {
		return &store.TooLargeError{What: "document " + m.Key, Size: len(data), Limit: limit}
	}
	header := nats.Header{HeaderContentType: jsonHeader[HeaderContentType], HeaderWatch: {m.Type}}
	return s.request.gateway.config.Conn.PublishMsg(&nats.Msg{Subject: s.request.reply, Reply: s.control, Header: header, Data: data})
}

// end tells the asker why no more comes.
func (s *stream) end(err error) {
	g := s.request.gateway
	switch {
	case errors.Is(err, errGone):
		return
	case errors.Is(err, errLeaving):
		err = fmt.Errorf("%w: node %s: %w", projector.ErrStopped, g.config.Node, errLeaving)
	}
	e := answerTo(err)
	if e.Code == CodeInternal {
		g.config.Logger.Error("watch failed", "subject", s.request.msg.Subject, "err", err)
	}
	data, err := encode(store.JSON, e)
	if err != nil {
		return // what an error has can be encoded
	}
	header := nats.Header{HeaderContentType: jsonHeader[HeaderContentType]}
	e.setHeaders(header)
	s.request.publish(header, data)
}
