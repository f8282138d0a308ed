package httpapi

import (
	"context"
	"iter"
	"log/slog"
	"net/http"
	"time"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// Client is whom the API asks: [*gateway.Client], whose methods of these names
// say what they promise.
type Client interface {
	// Send sends a command.
	Send(ctx context.Context, r gateway.Request) (actor.Result, error)
	// SendAndWait also waits for views to have what it did.
	SendAndWait(ctx context.Context, r gateway.Request, views ...string) (gateway.Sent, error)
	// Wait waits for all of the views to reach a position.
	Wait(ctx context.Context, position store.Position, views ...string) error
	// State returns a state from the log.
	State(ctx context.Context, id store.StreamID, at actor.At) (gateway.State, error)
	// Read returns a state from its owner's memory.
	Read(ctx context.Context, id store.StreamID, linearizable bool) (gateway.State, error)
	// HistoryPage returns events that follow a version.
	HistoryPage(ctx context.Context, id store.StreamID, after uint64) (events []gateway.Event, next uint64, err error)
	// Diff returns what became of an aggregate between two moments.
	Diff(ctx context.Context, id store.StreamID, from, to actor.At) (gateway.Difference, error)
	// ChangesPage returns what the events that follow a version changed.
	ChangesPage(ctx context.Context, id store.StreamID, after uint64) (events []gateway.Changed, next uint64, err error)
	// Get returns a document.
	Get(ctx context.Context, view, key string, min store.Position) (projector.Document, error)
	// GetAt returns a document as it was.
	GetAt(ctx context.Context, view, key string, at projector.Moment) (projector.Document, error)
	// Page returns documents that follow a cursor.
	Page(ctx context.Context, view, cursor string, limit int, min store.Position) (docs []projector.Document, next string, err error)
	// Watch yields documents as they change.
	Watch(ctx context.Context, view string, w projector.Watch) iter.Seq2[projector.Document, error]
	// Projections returns how the views are doing.
	Projections(ctx context.Context) ([]projector.Status, error)
	// Forget has a person forgotten.
	Forget(ctx context.Context, r privacy.Request) (privacy.Receipt, error)
	// Subject returns whether a person has a key, and when it was forgotten.
	Subject(ctx context.Context, subject string) (gateway.Subject, error)
	// ForgottenPage returns persons who were forgotten and follow an id.
	ForgottenPage(ctx context.Context, after string, limit int) (subjects []gateway.Subject, next string, err error)
	// Info returns what the system serves.
	Info(ctx context.Context) (gateway.Info, error)
}

// Config says whom the API asks. Client is needed; the zero value of every
// other field works.
type Config struct {
	// Client asks the gateways.
	Client Client
	// Timeout bounds a request that names no time of its own. Default 5 s.
	Timeout time.Duration
	// MaxTimeout is the longest that a request may name. Default 25 s: below the
	// write timeout of a server that serves this.
	MaxTimeout time.Duration
	// Tokens verifies the tokens that requests must have: Authorization: Bearer TOKEN.
	// The roles of a token say what it is good for ([gateway.Grants]), and what is asked
	// of the gateways is asked with it, so they must know it, too. Nil: nobody is asked
	// who they are.
	Tokens gateway.Verifier
	// MaxBody is the largest body of a request in bytes. Default 1 MiB.
	MaxBody int64
	// MaxRequests is how many requests are served at once; more are refused as
	// busy. Watches count a tenth of it at most. Default 1,000.
	MaxRequests int
	// Heartbeat is how often a watch without changes sends a comment, so that both
	// ends notice when the other is gone. Default 10 s.
	Heartbeat time.Duration
	// Logger receives what went wrong inside. Default slog.Default().
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	c.Timeout = defaulted(c.Timeout, 5*time.Second)
	c.MaxTimeout = defaulted(c.MaxTimeout, 25*time.Second)
	c.MaxBody = defaulted(c.MaxBody, 1<<20)
	c.MaxRequests = defaulted(c.MaxRequests, 1000)
	c.Heartbeat = defaulted(c.Heartbeat, 10*time.Second)
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

func defaulted[T int | int64 | time.Duration](v, otherwise T) T {
	if v == 0 {
		return otherwise
	}
	return v
}

func (c Config) validate() error {
	invalid := func(value, reason string) error {
		return &store.InvalidError{What: "httpapi config", Value: value, Reason: reason}
	}
	switch {
	case c.Client == nil:
		return invalid("Client", "is missing")
	case c.Timeout < 0 || c.MaxTimeout < 0 || c.Heartbeat < 0:
		return invalid("durations", "must not be negative")
	case c.MaxBody < 0 || c.MaxRequests < 0:
		return invalid("limits", "must not be negative")
	}
	return nil
}

// api is what the handlers share.
type api struct {
	Config
	requests, watches places
}

// New returns the handler of everything below /v1/. It starts nothing.
//
// A browser's page of another origin is refused whatever changes anything, so
// that no page can command a system that runs on its visitor's own machine.
func New(config Config) (http.Handler, error) {
	config = config.withDefaults()
	if err := config.validate(); err != nil {
		return nil, err
	}
	a := &api{Config: config, requests: newPlaces(config.MaxRequests), watches: newPlaces(max(1, config.MaxRequests/10))}
	mux := http.NewServeMux()
	for pattern, r := range a.routes() {
		mux.Handle(pattern, a.admitting(r.kind, r.handler))
	}
	mux.HandleFunc(everythingElse, func(w http.ResponseWriter, r *http.Request) { a.nothing(mux, w, r) })
	return a.guard(mux), nil
}

// admitted is what a path answers with, and the kind that a token's roles must include.
type admitted struct {
	kind    gateway.Kind
	handler http.Handler
}

// routes are all paths, by their patterns.
func (a *api) routes() map[string]admitted {
	all := map[string]admitted{"GET /v1/watch/{view}": {gateway.KindQuery, http.HandlerFunc(a.watch)}}
	for pattern, r := range map[string]route{
		"POST /v1/commands/{aggregate}/{id}/{command}": {handle: a.command, kind: gateway.KindCommand, parameters: []string{"wait_for"}},
		"POST /v1/wait":                               {handle: a.wait, kind: gateway.KindQuery},
		"GET /v1/aggregates/{aggregate}/{id}":         {handle: a.state, kind: gateway.KindInspect, parameters: []string{"at_version", "at_time", "consistency"}},
		"GET /v1/aggregates/{aggregate}/{id}/history": {handle: pageOf("history", a.Client.HistoryPage), kind: gateway.KindInspect, parameters: []string{"after"}},
		"GET /v1/aggregates/{aggregate}/{id}/changes": {handle: pageOf("changes", a.Client.ChangesPage), kind: gateway.KindInspect, parameters: []string{"after"}},
		"GET /v1/aggregates/{aggregate}/{id}/diff":    {handle: a.diff, kind: gateway.KindInspect, parameters: []string{"from_version", "from_time", "to_version", "to_time"}},
		"GET /v1/views/{view}/{key}":                  {handle: a.document, kind: gateway.KindQuery, parameters: []string{"min_position", "at_position", "at_time"}},
		"GET /v1/views/{view}":                        {handle: a.page, kind: gateway.KindQuery, parameters: []string{"cursor", "limit", "min_position"}},
		"POST /v1/subjects/{id}/forget":               {handle: a.byName(a.forget), kind: gateway.KindPersonal, slow: true},
		"GET /v1/subjects/{id}":                       {handle: a.byName(a.subject), kind: gateway.KindPersonal},
		"GET /v1/subjects":                            {handle: a.byName(a.forgotten), kind: gateway.KindPersonal, parameters: []string{"after", "limit"}},
		"GET /v1/projections":                         {handle: a.projections, kind: gateway.KindInspect},
		"GET /v1/info":                                {handle: a.info, kind: gateway.KindQuery},
	} {
		all[pattern] = admitted{r.kind, a.answering(r)}
	}
	return all
}

// places bounds how much is done at once.
type places chan struct{}

func newPlaces(n int) places { return make(places, n) }

// take reports whether there was a place; give returns it.
func (p places) take() bool {
	select {
	case p <- struct{}{}:
		return true
	default:
		return false
	}
}

func (p places) give() { <-p }
