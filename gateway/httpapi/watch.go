package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// watch sends the changes of a view as server-sent events: event "document"
// with the document, "deleted" without, and "progress" whenever everything up to
// its position has come. Only the latter has an id, MODEL:POSITION, for only there
// can one resume: a browser that loses the connection asks again after it by
// itself. One at position 0 whose id names no model says that another one is served
// and that all documents come again. An error ends the stream with event "error".
func (a *api) watch(w http.ResponseWriter, r *http.Request) {
	if !a.watches.take() {
		a.fail(w, fmt.Errorf("%w: too many watch", actor.ErrBusy))
		return
	}
	defer a.watches.give()
	err := checkParameters(r, "key", "prefix", "after")
	var want projector.Watch
	if err == nil {
		want, err = watchOf(r)
	}
	if err != nil {
		a.fail(w, err)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	changes := a.begin(ctx, r.PathValue("view"), want)
	first, err := a.first(ctx, changes)
	if err != nil {
		a.fail(w, err)
		return
	}
	s := sse{w: w, rest: http.NewResponseController(w)}
	if err := s.rest.SetWriteDeadline(time.Time{}); err != nil { // the server's is for answers that end
		a.fail(w, fmt.Errorf("watch: %w", err))
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	a.pump(ctx, s, first, changes)
}

// begin has a watch sent to a channel, which is closed when it ends.
func (a *api) begin(ctx context.Context, view string, want projector.Watch) <-chan change {
	changes := make(chan change)
	go func() {
		defer close(changes)
		for d, err := range a.Client.Watch(ctx, view, want) {
			select {
			case changes <- change{d, err}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return changes
}

// first waits for what comes first: nil if nothing does for a heartbeat. The error is
// one that stays.
func (a *api) first(ctx context.Context, changes <-chan change) (*change, error) {
	timer := time.NewTimer(a.Heartbeat)
	defer timer.Stop()
	select {
	case c, open := <-changes:
		if e := gateway.ErrorOf(c.err); e != nil && !e.Retryable {
			return nil, c.err
		}
		if !open {
			return nil, nil
		}
		return &c, nil
	case <-timer.C:
		return nil, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func watchOf(r *http.Request) (w projector.Watch, err error) {
	q := r.URL.Query()
	w.Key, w.Prefix, w.Progress = q.Get("key"), q.Get("prefix"), true
	if w.Key != "" && w.Prefix != "" {
		return w, &store.InvalidError{What: "parameters", Value: "key, prefix", Reason: "want one of them"}
	}
	after, err := number(r, "after")
	w.After = store.Position(after)
	if id := r.Header.Get("Last-Event-ID"); err == nil && id != "" {
		w.Model, w.After, err = parseEventID(id)
	}
	return w, err
}

// parseEventID reads MODEL:POSITION, or no more than POSITION.
func parseEventID(id string) (model string, p store.Position, err error) {
	model, text, named := strings.Cut(id, ":")
	if !named {
		model, text = "", id
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return "", 0, &store.InvalidError{What: "header Last-Event-ID", Value: id, Reason: "want MODEL:POSITION or a decimal number"}
	}
	return model, store.Position(n), nil
}

func eventID(model string, p store.Position) string {
	text := strconv.FormatUint(uint64(p), 10)
	if model == "" {
		return text
	}
	return model + ":" + text
}

// pump writes what came first, if anything did, and what follows, until the asker goes,
// the watch ends, or a write takes too long.
func (a *api) pump(ctx context.Context, s sse, first *change, changes <-chan change) {
	beat := time.NewTicker(a.Heartbeat)
	defer beat.Stop()
	err := s.comment(a.Heartbeat, "watching")
	if err == nil && first != nil {
		err = s.change(a.Heartbeat, *first)
	}
	for err == nil {
		select {
		case c, open := <-changes:
			if !open {
				return
			}
			err = s.change(a.Heartbeat, c)
		case <-beat.C:
			err = s.comment(a.Heartbeat, "still here")
		case <-ctx.Done():
			return
		}
	}
}

// change is what a watch yields.
type change struct {
	projector.Document
	err error
}

// sse writes server-sent events.
type sse struct {
	w    io.Writer
	rest *http.ResponseController
}

func (s sse) change(limit time.Duration, c change) error {
	if c.err != nil {
		data, err := json.Marshal(gateway.ErrorOf(c.err))
		if err != nil {
			return err
		}
		return s.write(limit, fmt.Sprintf("event: error\ndata: %s\n\n", data))
	}
	if c.Key == "" {
		return s.write(limit, fmt.Sprintf("id: %s\nevent: progress\ndata: {\"position\":%d}\n\n", eventID(c.Model, c.Position), c.Position))
	}
	name, body := "document", any(c.Document)
	if c.Document.Document == nil {
		name, body = "deleted", struct {
			Key      string         `json:"key"`
			Position store.Position `json:"position"`
		}{c.Key, c.Position}
	}
	data, err := json.Marshal(body) // one line: encoding/json compacts what a document holds
	if err != nil {
		return err
	}
	return s.write(limit, fmt.Sprintf("event: %s\ndata: %s\n\n", name, data))
}

func (s sse) comment(limit time.Duration, text string) error {
	return s.write(limit, ": "+text+"\n\n")
}

// write sends at once; who does not take it in time is dropped.
func (s sse) write(limit time.Duration, text string) error {
	if err := s.rest.SetWriteDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	if _, err := io.WriteString(s.w, text); err != nil {
		return err
	}
	return s.rest.Flush()
}
