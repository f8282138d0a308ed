//go:build linux

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/test/harness"
)

// client speaks to the system as any NATS client would: requests, replies and
// headers, with no code of the gateway's own client.
type client struct{ conn *nats.Conn }

// refusal is an error answer.
type refusal struct{ code, text string }

func (r *refusal) Error() string { return r.code + ": " + r.text }

// mayTryAgain reports whether the answer says that this request stored nothing, and that
// another may.
func (r *refusal) mayTryAgain() bool {
	switch r.code {
	case "BUSY", "UNAVAILABLE", "DEADLINE":
		return true
	}
	return false
}

// isUnknown reports whether the answer leaves open what happened.
func (r *refusal) isUnknown() bool { return r.code == "UNKNOWN_OUTCOME" }

// answerWait is how long a client waits for one answer.
const answerWait = 10 * time.Second

// ask sends a request and decodes the answer into v. The error is a *refusal
// if the system answered with one.
func (c client) ask(ctx context.Context, subject string, header nats.Header, body []byte, v any) error {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	m, err := c.conn.RequestMsgWithContext(ctx, &nats.Msg{Subject: subject, Header: header, Data: body})
	if err != nil {
		return err
	}
	if m.Header.Get("Nats-Service-Error-Code") != "" {
		return &refusal{code: m.Header.Get("Annals-Error"), text: m.Header.Get("Nats-Service-Error")}
	}
	return json.Unmarshal(m.Data, v)
}

// execute sends an order once.
func (c client) execute(ctx context.Context, o order) (receipt, error) {
	token, err := store.EncodeToken(o.stream.ID)
	if err != nil {
		return receipt{}, err
	}
	var r receipt
	subject := fmt.Sprintf("%s.cmd.%s.%s.%s", namespace, o.stream.Type, token, o.name)
	err = c.ask(ctx, subject, nats.Header{"Annals-Command-Id": {o.id}}, o.body, &r)
	return r, err
}

// document asks for one document of a view that has reached min.
func (c client) document(ctx context.Context, view, key string, min store.Position) (projector.Document, error) {
	token, err := store.EncodeToken(key)
	if err != nil {
		return projector.Document{}, err
	}
	var d projector.Document
	err = c.ask(ctx, fmt.Sprintf("%s.qry.%s.%s", namespace, view, token), atLeast(min), nil, &d)
	return d, err
}

// state asks for the state of an aggregate, and returns the position that the
// answer rests on.
func (c client) state(ctx context.Context, id store.StreamID) (store.Position, error) {
	body, err := json.Marshal(map[string]string{"aggregate": id.Type, "id": id.ID})
	if err != nil {
		return 0, err
	}
	var s struct {
		Position store.Position `json:"position"`
	}
	err = c.ask(ctx, namespace+".ctl.aggregate.get", nil, body, &s)
	return s.Position, err
}

// catchUp is how long a view may take to reach the log's end after a restart.
const catchUp = 2 * time.Minute

// view returns all documents of a view that has reached min.
func (c client) view(ctx context.Context, view string, min store.Position) (map[string]projector.Document, error) {
	docs := map[string]projector.Document{}
	for cursor := ""; ; {
		body, err := json.Marshal(map[string]any{"cursor": cursor, "limit": 1000})
		if err != nil {
			return nil, err
		}
		var page struct {
			Documents []projector.Document `json:"documents"`
			Next      string               `json:"next"`
		}
		if err := c.page(ctx, view, min, body, &page); err != nil {
			return nil, fmt.Errorf("read view %s at %d: %w", view, min, err)
		}
		for _, d := range page.Documents {
			docs[d.Key] = d
		}
		if cursor = page.Next; cursor == "" {
			return docs, nil
		}
	}
}

// page asks for a page until the view has caught up. The error is a *refusal
// if the view is not served.
func (c client) page(ctx context.Context, view string, min store.Position, body []byte, page any) error {
	var final error
	err := harness.Until(ctx, catchUp, "the views catch up", func() error {
		final = c.ask(ctx, namespace+".qry."+view, atLeast(min), body, page)
		if r, answered := errors.AsType[*refusal](final); answered && !r.mayTryAgain() && r.code != "VIEW_TIMEOUT" {
			return nil
		}
		return final
	})
	return cmp.Or(err, final)
}

// projections asks how each projection stands.
func (c client) projections(ctx context.Context) ([]projector.Status, error) {
	var list struct {
		Projections []projector.Status `json:"projections"`
	}
	if err := c.ask(ctx, namespace+".ctl.projection.ls", nil, nil, &list); err != nil {
		return nil, err
	}
	if len(list.Projections) == 0 {
		return nil, errors.New("the system runs no projection")
	}
	return list.Projections, nil
}

// rebuilt returns nil when all views together have come that far.
func (c client) rebuilt(ctx context.Context, part float64) error {
	all, err := c.projections(ctx)
	if err != nil {
		return err
	}
	var done, due float64
	for _, p := range all {
		done, due = done+float64(p.Checkpoint), due+float64(p.Head)
	}
	if done < part*due {
		return fmt.Errorf("the views are rebuilt by %.0f%%", 100*done/due)
	}
	return nil
}

// checkpoints asks how far each projection says it has come.
func (c client) checkpoints(ctx context.Context) ([]standing, error) {
	all, err := c.projections(ctx)
	var out []standing
	for _, p := range all {
		out = append(out, standing{"the status of view " + p.Name, p.Checkpoint})
	}
	return out, err
}

func atLeast(min store.Position) nats.Header {
	if min == 0 {
		return nil
	}
	return nats.Header{"Annals-Min-Position": {fmt.Sprint(uint64(min))}}
}
