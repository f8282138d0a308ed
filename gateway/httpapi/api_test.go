package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/gateway/httpapi"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// fake answers as it is told, and notes what it was asked, in words.
type fake struct {
	mu    sync.Mutex
	asked []string
	err   error
	// erasure is the id that a forgetting is given that has none.
	erasure uuid.UUID
	until   chan struct{} // not nil: every question is answered only when it is closed
	watch   func(ctx context.Context) iter.Seq2[projector.Document, error]
}

func (f *fake) note(ctx context.Context, format string, args ...any) error {
	f.mu.Lock()
	f.asked = append(f.asked, fmt.Sprintf(format, args...))
	f.mu.Unlock()
	if f.until != nil {
		select {
		case <-f.until:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return f.err
}

func (f *fake) questions() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string{}, f.asked...)
}

// forget forgets what was asked.
func (f *fake) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = nil
}

func (f *fake) Send(ctx context.Context, r gateway.Request) (actor.Result, error) {
	name := r.Name
	if r.Schema > 0 {
		name += fmt.Sprintf(" v%d", r.Schema)
	}
	err := f.note(ctx, "send %s %s %s %s %+v", r.Stream, name, r.Codec.Name(), r.Body, r.Options)
	return actor.Result{Version: 3, Position: 1024, Events: []string{"opened"}}, err
}

func (f *fake) SendAndWait(ctx context.Context, r gateway.Request, views ...string) (gateway.Sent, error) {
	err := f.note(ctx, "send %s %s and wait for %v", r.Stream, r.Name, views)
	return gateway.Sent{Result: actor.Result{Version: 3, Position: 1024}, Views: []gateway.ViewWait{{View: views[0], Reached: true}}}, err
}

func (f *fake) Wait(ctx context.Context, p store.Position, views ...string) error {
	return f.note(ctx, "wait %d %v", p, views)
}

func (f *fake) State(ctx context.Context, id store.StreamID, at actor.At) (gateway.State, error) {
	err := f.note(ctx, "state %s at %d %s", id, at.Version, at.Time.Format(time.RFC3339))
	return gateway.State{Aggregate: id.Type, ID: id.ID, Version: 2, Position: 512, State: json.RawMessage(`{"open":true}`)}, err
}

func (f *fake) Read(ctx context.Context, id store.StreamID, linearizable bool) (gateway.State, error) {
	return gateway.State{}, f.note(ctx, "read %s %t", id, linearizable)
}

func (f *fake) HistoryPage(ctx context.Context, id store.StreamID, after uint64) ([]gateway.Event, uint64, error) {
	return []gateway.Event{{Version: after + 1, Type: "opened"}}, after + 1, f.note(ctx, "history %s %d", id, after)
}

func (f *fake) Diff(ctx context.Context, id store.StreamID, from, to actor.At) (gateway.Difference, error) {
	err := f.note(ctx, "diff %s %d %s to %d %s", id, from.Version, from.Time.Format(time.RFC3339), to.Version, to.Time.Format(time.RFC3339))
	return gateway.Difference{Aggregate: id.Type, ID: id.ID, To: gateway.Moment{Version: 2, Position: 512}}, err
}

func (f *fake) ChangesPage(ctx context.Context, id store.StreamID, after uint64) ([]gateway.Changed, uint64, error) {
	return []gateway.Changed{{Version: after + 1, Type: "opened"}}, after + 1, f.note(ctx, "changes %s %d", id, after)
}

func (f *fake) Get(ctx context.Context, view, key string, least store.Position) (projector.Document, error) {
	err := f.note(ctx, "get %s %q %d", view, key, least)
	return projector.Document{Key: key, Position: 1024, Document: json.RawMessage(`{"n":1}`)}, err
}

func (f *fake) GetAt(ctx context.Context, view, key string, at projector.Moment) (projector.Document, error) {
	err := f.note(ctx, "get %s %q at %d %s", view, key, at.Position, at.Time.Format(time.RFC3339))
	return projector.Document{Key: key, Position: 1024, Document: json.RawMessage(`{"n":1}`)}, err
}

func (f *fake) Page(ctx context.Context, view, cursor string, limit int, least store.Position) ([]projector.Document, string, error) {
	return nil, "more", f.note(ctx, "page %s %q %d %d", view, cursor, limit, least)
}

func (f *fake) Watch(ctx context.Context, view string, w projector.Watch) iter.Seq2[projector.Document, error] {
	_ = f.note(ctx, "watch %s %+v", view, w)
	return f.watch(ctx)
}

func (f *fake) Projections(ctx context.Context) ([]projector.Status, error) {
	return []projector.Status{{Name: "totals"}}, f.note(ctx, "projections")
}

func (f *fake) Forget(ctx context.Context, r privacy.Request) (privacy.Receipt, error) {
	err := f.note(ctx, "forget %s %q %q %s", r.Subject, r.Why, r.By, r.ID)
	if r.ID == uuid.Nil {
		r.ID = f.erasure
	}
	return privacy.Receipt{Subject: r.Subject, ID: r.ID, By: "p", Why: r.Why, Done: true, Notice: 2048}, err
}

func (f *fake) Subject(ctx context.Context, subject string) (gateway.Subject, error) {
	return gateway.Subject{Subject: subject, Key: "k1", Erased: []privacy.Receipt{}}, f.note(ctx, "subject %s", subject)
}

func (f *fake) ForgottenPage(ctx context.Context, after string, limit int) ([]gateway.Subject, string, error) {
	return []gateway.Subject{{Subject: "c-9", Erased: []privacy.Receipt{}}}, "c-9", f.note(ctx, "forgotten %q %d", after, limit)
}

func (f *fake) Info(ctx context.Context) (gateway.Info, error) {
	return gateway.Info{Namespace: "bank"}, f.note(ctx, "info")
}

// serverLimit is how long a request may take to come in: a watch outlasts it.
const serverLimit = 3 * time.Second

func serve(t *testing.T, config httpapi.Config) string {
	t.Helper()
	handler, err := httpapi.New(config)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(handler)
	server.Config.ReadTimeout, server.Config.WriteTimeout = serverLimit, 10*serverLimit
	server.Start()
	t.Cleanup(server.Close)
	return server.URL
}

// ask sends a request with pairs of headers and returns the answer, whole.
func ask(t *testing.T, method, url, body string, headers ...string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, answer.Header, string(data)
}

var inJSON = []string{"Content-Type", "application/json"}

func TestWhatIsAskedAndAnswered(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		method, path, body string
		headers            []string
		asked, answer      string
		position           string
	}{
		"a command": {
			method: "POST", path: "/v1/commands/account/42/open", body: `{"limit":5}`,
			headers: append(inJSON, "Annals-Command-Id", "c1", "Annals-Expected-Version", "2", "Annals-On-Conflict", "retry", "Annals-Correlation-Id", "r", "Annals-Corrects", "account/7/1"),
			asked:   `send account/42 open json {"limit":5} {ID:c1 Expected:2 HasExpected:true OnConflict:1 CorrelationID:r CausationID: Traceparent: Corrects:account/7/1}`,
			answer: `{"type":"io.annals.api.v1.command_response","aggregate":"account","id":"42","version":3,"position":1024,` +
				`"events":["opened"],"duplicate":false}`,
			position: "1024",
		},
		"a command with its id as others call it": {
			method: "POST", path: "/v1/commands/account/a%2Fb/open", headers: []string{"Content-Type", "application/msgpack", "Idempotency-Key", "c2", "Annals-Schema", "7"},
			asked: `send account/a/b open v7 msgpack  {ID:c2 Expected:0 HasExpected:false OnConflict:0 CorrelationID: CausationID: Traceparent: Corrects:}`,
		},
		"a command that waits": {
			method: "POST", path: "/v1/commands/account/42/open?wait_for=names", headers: append(inJSON, "Annals-Wait-Views", "totals"),
			asked: `send account/42 open and wait for [totals names]`,
			answer: `{"type":"io.annals.api.v1.command_response","aggregate":"account","id":"42","version":3,"position":1024,` +
				`"events":[],"duplicate":false,"views":[{"view":"totals","reached":true}]}`,
		},
		"a document": {
			method: "GET", path: "/v1/views/totals/a%20b?min_position=77",
			asked: `get totals "a b" 77`, position: "1024",
			answer: `{"type":"io.annals.api.v1.document_response","key":"a b","position":1024,"document":{"n":1}}`,
		},
		"a document at a position": {method: "GET", path: "/v1/views/totals/a?at_position=77", asked: `get totals "a" at 77 0001-01-01T00:00:00Z`, position: "1024"},
		"a document at a time":     {method: "GET", path: "/v1/views/totals/a?at_time=2012-03-01T09:00:00Z", asked: `get totals "a" at 0 2012-03-01T09:00:00Z`},
		"a document, by header":    {method: "GET", path: "/v1/views/totals/a", headers: []string{"Annals-Min-Position", "78"}, asked: `get totals "a" 78`},
		"a page": {
			method: "GET", path: "/v1/views/totals?cursor=x&limit=10&min_position=5", asked: `page totals "x" 10 5`,
			answer: `{"type":"io.annals.api.v1.document_list_response","documents":[],"next":"more"}`,
		},
		"a page that is too large": {method: "GET", path: "/v1/views/totals?limit=99999999999", asked: `page totals "" 1001 0`},
		"a wait": {
			method: "POST", path: "/v1/wait", body: `{"position":9,"views":["totals","names"]}`, headers: inJSON,
			asked: `wait 9 [totals names]`, answer: `{"type":"io.annals.api.v1.wait_response","position":9,"views":["totals","names"]}`,
		},
		"a state": {
			method: "GET", path: "/v1/aggregates/account/42?at_version=2&at_time=2026-01-02T03:04:05Z", asked: `state account/42 at 2 2026-01-02T03:04:05Z`,
			answer:   `{"type":"io.annals.api.v1.aggregate_get_response","aggregate":"account","id":"42","version":2,"position":512,"time":"0001-01-01T00:00:00Z","state":{"open":true}}`,
			position: "512",
		},
		"a live state":         {method: "GET", path: "/v1/aggregates/account/42?consistency=live", asked: `read account/42 false`},
		"a linearizable state": {method: "GET", path: "/v1/aggregates/account/42?consistency=linearizable", asked: `read account/42 true`},
		"changes":              {method: "GET", path: "/v1/aggregates/account/42/changes?after=7", asked: `changes account/42 7`},
		"a difference":         {method: "GET", path: "/v1/aggregates/account/42/diff?from_version=3&to_time=2012-03-01T09:00:00Z", asked: `diff account/42 3 0001-01-01T00:00:00Z to 0 2012-03-01T09:00:00Z`},
		"a history":            {method: "GET", path: "/v1/aggregates/account/42/history?after=7", asked: `history account/42 7`},
		"projections":          {method: "GET", path: "/v1/projections", asked: `projections`},
		"info":                 {method: "GET", path: "/v1/info", asked: `info`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fake{}
			status, header, body := ask(t, c.method, serve(t, httpapi.Config{Client: f})+c.path, c.body, c.headers...)
			if status != http.StatusOK {
				t.Fatalf("status %d: %s", status, body)
			}
			if diff := cmp.Diff([]string{c.asked}, f.questions()); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
			if c.answer != "" && strings.TrimSpace(body) != c.answer {
				t.Errorf("answer\n%s, want\n%s", body, c.answer)
			}
			if c.position != "" && header.Get("Annals-Position") != c.position {
				t.Errorf("position %q, want %q", header.Get("Annals-Position"), c.position)
			}
		})
	}
}

// Every error keeps the body and the number that it has over NATS.
func TestErrorsKeepTheirCodes(t *testing.T) {
	t.Parallel()
	for want, err := range map[gateway.Code]error{
		gateway.CodeRejected:       actor.ErrRejected,
		gateway.CodeUnknownOutcome: store.ErrUnknown,
		gateway.CodeConflict:       &store.ConflictError{Expected: 2, Actual: 3},
		gateway.CodeViewTimeout:    &projector.TimeoutError{View: "totals", Want: 9, Has: 3, Cause: context.DeadlineExceeded},
		gateway.CodeNotFound:       store.ErrNotFound,
		gateway.CodeUnknownView:    projector.ErrNoView,
		gateway.CodeUnavailable:    store.ErrUnavailable,
		gateway.CodeBusy:           actor.ErrBusy,
		gateway.CodeInternal:       errors.New("a secret"),
	} {
		url := serve(t, httpapi.Config{Client: &fake{err: err}})
		for _, path := range []string{"/v1/commands/account/42/open", "/v1/views/totals/a", "/v1/aggregates/account/42"} {
			method := "GET"
			if strings.Contains(path, "commands") {
				method = "POST"
			}
			status, header, body := ask(t, method, url+path, "{}", inJSON...)
			var e gateway.Error
			if err := json.Unmarshal([]byte(body), &e); err != nil {
				t.Fatalf("%s: %v", body, err)
			}
			if e.Code != want || e.Status != status || header.Get("Annals-Error") != string(want) || (header.Get("Retry-After") != "") != e.Retryable {
				t.Errorf("%s of %v: status %d, %v, %+v", path, err, status, header, e)
			}
			if strings.Contains(body, "secret") {
				t.Errorf("%s tells what went wrong inside: %s", path, body)
			}
		}
	}
}

// What cannot be right is refused before anybody is asked.
func TestBadRequestsAreRefused(t *testing.T) {
	t.Parallel()
	f := &fake{}
	url := serve(t, httpapi.Config{Client: f, MaxBody: 16})
	for name, c := range map[string]struct {
		method, path, body string
		headers            []string
		code               gateway.Code
	}{
		"no content type":        {method: "POST", path: "/v1/commands/account/42/open", code: gateway.CodeInvalid},
		"a form":                 {method: "POST", path: "/v1/commands/account/42/open", headers: []string{"Content-Type", "text/plain"}, code: gateway.CodeInvalid},
		"another type":           {method: "POST", path: "/v1/commands/Ac%20count/42/open", headers: inJSON, code: gateway.CodeInvalid},
		"a large body":           {method: "POST", path: "/v1/commands/account/42/open", body: `{"limit":5000000000000}`, headers: inJSON, code: gateway.CodeTooLarge},
		"a bad version":          {method: "POST", path: "/v1/commands/account/42/open", headers: append(inJSON, "Annals-Expected-Version", "-1"), code: gateway.CodeInvalid},
		"a bad schema":           {method: "POST", path: "/v1/commands/account/42/open", headers: append(inJSON, "Annals-Schema", "0"), code: gateway.CodeInvalid},
		"a bad policy":           {method: "POST", path: "/v1/commands/account/42/open", headers: append(inJSON, "Annals-On-Conflict", "hope"), code: gateway.CodeInvalid},
		"a bad wait":             {method: "POST", path: "/v1/wait", body: `[]`, headers: inJSON, code: gateway.CodeInvalid},
		"a bad position":         {method: "GET", path: "/v1/views/totals/a?min_position=x", code: gateway.CodeInvalid},
		"a bad position, header": {method: "GET", path: "/v1/views/totals/a", headers: []string{"Annals-Min-Position", "x"}, code: gateway.CodeInvalid},
		"a misspelt condition":   {method: "GET", path: "/v1/views/totals/a?min_positon=7", code: gateway.CodeInvalid},
		"a bad limit":            {method: "GET", path: "/v1/views/totals?limit=x", code: gateway.CodeInvalid},
		"a bad timeout":          {method: "GET", path: "/v1/views/totals?timeout=1h", code: gateway.CodeInvalid},
		"no time at all":         {method: "GET", path: "/v1/views/totals?timeout=0s", code: gateway.CodeInvalid},
		"a bad time":             {method: "GET", path: "/v1/aggregates/account/42?at_time=yesterday", code: gateway.CodeInvalid},
		"a bad consistency":      {method: "GET", path: "/v1/aggregates/account/42?consistency=some", code: gateway.CodeInvalid},
		"the past, live":         {method: "GET", path: "/v1/aggregates/account/42?consistency=live&at_version=1", code: gateway.CodeInvalid},
		"a watch of two kinds":   {method: "GET", path: "/v1/watch/totals?key=a&prefix=b", code: gateway.CodeInvalid},
		"a bad resumption":       {method: "GET", path: "/v1/watch/totals", headers: []string{"Last-Event-ID", "x"}, code: gateway.CodeInvalid},
		"a resumption nowhere":   {method: "GET", path: "/v1/watch/totals", headers: []string{"Last-Event-ID", "totals_v1:"}, code: gateway.CodeInvalid},
		"a forged name":          {method: "GET", path: "/v1/info", headers: []string{"Annals-Principal", "root"}, code: gateway.CodeInvalid},
		"a misspelt header":      {method: "POST", path: "/v1/commands/account/42/open", headers: append(inJSON, "Annals-Expected-Verison", "1"), code: gateway.CodeInvalid},
		"a broken query":         {method: "GET", path: "/v1/views/totals?limit=%zz", code: gateway.CodeInvalid},
		"a parameter twice":      {method: "GET", path: "/v1/views/totals?limit=1&limit=2", code: gateway.CodeInvalid},
		"an unknown parameter":   {method: "GET", path: "/v1/watch/totals?keys=a", code: gateway.CodeInvalid},
		"no such path":           {method: "GET", path: "/v1/nothing", code: gateway.CodeNotFound},
		"no such method":         {method: "DELETE", path: "/v1/views/totals/a", code: gateway.CodeInvalid},
	} {
		if _, header, body := ask(t, c.method, url+c.path, c.body, c.headers...); header.Get("Annals-Error") != string(c.code) {
			t.Errorf("%s: %q: %s", name, header.Get("Annals-Error"), body)
		}
	}
	if asked := f.questions(); len(asked) > 0 {
		t.Errorf("somebody was asked: %q", asked)
	}
}

// A path that there is says which methods it has; one that there is not has none.
func TestMethodsThatAPathHasNot(t *testing.T) {
	t.Parallel()
	f := &fake{}
	url := serve(t, httpapi.Config{Client: f})
	for path, want := range map[string]string{
		"POST /v1/views/totals/a":                    "GET, HEAD",
		"DELETE /v1/views/totals":                    "GET, HEAD",
		"PUT /v1/aggregates/account/a%2Fb/history":   "GET, HEAD",
		"GET /v1/commands/account/42/open":           "POST",
		"OPTIONS /v1/commands/account/42/open":       "POST",
		"PATCH /v1/watch/totals":                     "GET, HEAD",
		"GET /v1/wait":                               "POST",
		"GET /v1/nothing":                            "",
		"POST /v1/commands/account/42":               "",
		"POST /v1/aggregates/account/42/history/all": "",
	} {
		method, at, _ := strings.Cut(path, " ")
		status, header, body := ask(t, method, url+at, "{}", inJSON...)
		var e gateway.Error
		if err := json.Unmarshal([]byte(body), &e); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		wantStatus, code := http.StatusMethodNotAllowed, gateway.CodeInvalid
		if want == "" {
			wantStatus, code = http.StatusNotFound, gateway.CodeNotFound
		}
		if status != wantStatus || e.Status != status || e.Code != code || header.Get("Allow") != want {
			t.Errorf("%s: status %d, Allow %q: %s", path, status, header.Get("Allow"), body)
		}
	}
	if asked := f.questions(); len(asked) > 0 {
		t.Errorf("somebody was asked: %q", asked)
	}
}

// What a body lacks is said with its place, without a word of Go.
func TestABodyThatDoesNotFit(t *testing.T) {
	t.Parallel()
	url := serve(t, httpapi.Config{Client: &fake{}})
	_, _, body := ask(t, "POST", url+"/v1/wait", `{"position":7,"views":["a",3]}`, inJSON...)
	var e gateway.Error
	if err := json.Unmarshal([]byte(body), &e); err != nil || e.Description != `invalid field views[1] "number": want a string` {
		t.Errorf("%s, %v", body, err)
	}
}

// A page of another origin, open in the browser of somebody who may reach the
// API, cannot send commands by it.
func TestAPageOfAnotherOriginIsRefused(t *testing.T) {
	t.Parallel()
	f := &fake{}
	url := serve(t, httpapi.Config{Client: f})
	status, _, _ := ask(t, "POST", url+"/v1/commands/account/42/open", "{}", append(inJSON, "Origin", "https://elsewhere.example", "Sec-Fetch-Site", "cross-site")...)
	if status != http.StatusForbidden || len(f.questions()) > 0 {
		t.Errorf("status %d, asked %q", status, f.questions())
	}
}

// The asker's time bounds what is asked, and no more is served at once than
// configured.
func TestRequestsAreBounded(t *testing.T) {
	t.Parallel()
	f := &fake{until: make(chan struct{})}
	url := serve(t, httpapi.Config{Client: f, MaxRequests: 1})
	done := make(chan string, 1)
	go func() {
		_, header, _ := ask(t, "GET", url+"/v1/info?timeout=20s", "")
		done <- header.Get("Annals-Error")
	}()
	for len(f.questions()) == 0 {
		if t.Context().Err() != nil {
			t.Fatal("the first request did not arrive")
		}
	}
	if _, header, body := ask(t, "GET", url+"/v1/info", ""); header.Get("Annals-Error") != string(gateway.CodeBusy) {
		t.Errorf("the second request: %s", body)
	}
	close(f.until)
	if code := <-done; code != "" {
		t.Errorf("the first request: %s", code)
	}
	f = &fake{until: make(chan struct{})}
	if _, header, body := ask(t, "GET", serve(t, httpapi.Config{Client: f})+"/v1/info?timeout=10ms", ""); header.Get("Annals-Error") != string(gateway.CodeDeadline) {
		t.Errorf("past its time: %s", body)
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for _, config := range []httpapi.Config{{}, {Client: &fake{}, Timeout: -1}, {Client: &fake{}, MaxBody: -1}} {
		if _, err := httpapi.New(config); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%+v: %v", config, err)
		}
	}
}
