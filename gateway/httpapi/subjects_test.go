package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/gateway/httpapi"
	"github.com/annals-go/annals/store"
)

var asOfficer = append([]string{"Authorization", "Bearer privacy-officer"}, inJSON...)

// What is asked about persons, and how it is answered; what is wrong is asked of nobody.
func TestPersonsAreForgottenByRequest(t *testing.T) {
	t.Parallel()
	const (
		one, other = "0190a7a2-6f2e-7c80-8d1c-2f2b8d4a0001", "0190a7a2-6f2e-7c80-8d1c-2f2b8d4a0002"
		nil16      = "00000000-0000-0000-0000-000000000000"
	)
	for name, c := range map[string]struct {
		method, path, body string
		headers            []string
		asked, says        string
		status             int
	}{
		"forget": {
			method: "POST", path: "/v1/subjects/c-9/forget", body: `{"why":"asked for it","id":"` + one + `"}`,
			asked: `forget c-9 "asked for it" "" ` + one, status: 200,
			says: `{"type":"io.annals.api.v1.subject_forget_response","realm":"` + nil16 + `","subject":"c-9","id":"` + one + `","at":"0001-01-01T00:00:00Z","by":"p","why":"asked for it","done":true,"notice":2048}`,
		},
		"forget without an id":           {method: "POST", path: "/v1/subjects/a%2Fb/forget", body: `{"why":"x"}`, asked: `forget a/b "x" "" ` + nil16, status: 200, says: `"subject":"a/b"`},
		"forget with an id of HTTP":      {method: "POST", path: "/v1/subjects/c/forget", body: `{"why":"x"}`, headers: []string{"Idempotency-Key", one}, asked: `forget c "x" "" ` + one, status: 200},
		"forget with an id of a command": {method: "POST", path: "/v1/subjects/c/forget", body: `{"why":"x"}`, headers: []string{"Annals-Command-Id", one}, asked: `forget c "x" "" ` + one, status: 200},
		"forget with an id twice":        {method: "POST", path: "/v1/subjects/c/forget", body: `{"why":"x","id":"` + one + `"}`, headers: []string{"Idempotency-Key", one}, asked: `forget c "x" "" ` + one, status: 200},
		"forget with two ids":            {method: "POST", path: "/v1/subjects/c/forget", body: `{"why":"x","id":"` + one + `"}`, headers: []string{"Idempotency-Key", other}, status: 400, says: "another id is given"},
		"forget with an id that is none": {method: "POST", path: "/v1/subjects/c/forget", body: `{"why":"x","id":"7"}`, status: 400, says: "want a UUID"},
		"forget with the zero id":        {method: "POST", path: "/v1/subjects/c/forget", body: `{"why":"x","id":"` + nil16 + `"}`, status: 400, says: "want a UUID"},
		"forget as somebody else":        {method: "POST", path: "/v1/subjects/c/forget", body: `{"why":"x","by":"ann"}`, status: 400},
		"forget somebody else":           {method: "POST", path: "/v1/subjects/c/forget", body: `{"why":"x","subject":"d"}`, status: 400},
		"forget with half a body":        {method: "POST", path: "/v1/subjects/c/forget", body: `{"why":`, status: 400},
		"forget a long id":               {method: "POST", path: "/v1/subjects/" + strings.Repeat("x", 129) + "/forget", body: `{"why":"x"}`, status: 413},
		"forget by asking":               {method: "GET", path: "/v1/subjects/c/forget", status: 405},
		"look":                           {method: "GET", path: "/v1/subjects/c-9", asked: "subject c-9", status: 200, says: `{"type":"io.annals.api.v1.subject_get_response","subject":"c-9","key":"k1","erased":[]}`},
		"look at more":                   {method: "GET", path: "/v1/subjects/c-9?data=true", status: 400},
		"list": {
			method: "GET", path: "/v1/subjects?after=c%2F1&limit=7", asked: `forgotten "c/1" 7`, status: 200,
			says: `{"type":"io.annals.api.v1.subject_ls_response","subjects":[{"subject":"c-9","erased":[]}],"next":"c-9"}`,
		},
		"list all":          {method: "GET", path: "/v1/subjects", asked: `forgotten "" 0`, status: 200},
		"list too many":     {method: "GET", path: "/v1/subjects?limit=99999999999", asked: `forgotten "" 1024`, status: 200},
		"list what is none": {method: "GET", path: "/v1/subjects?limit=x", status: 400},
		"list with more":    {method: "GET", path: "/v1/subjects?data=true", status: 400},
		"add to the list":   {method: "POST", path: "/v1/subjects", body: `{}`, status: 405},
		"delete":            {method: "DELETE", path: "/v1/subjects/c-9", status: 405},
	} {
		f := &fake{}
		url := serve(t, httpapi.Config{Client: f, Tokens: roles{}})
		status, header, body := ask(t, c.method, url+c.path, c.body, append(append([]string{}, asOfficer...), c.headers...)...)
		if status != c.status || !strings.Contains(body, c.says) {
			t.Errorf("%s: %d %s", name, status, body)
		}
		if want := map[bool]string{true: "2048"}[c.method == "POST" && c.status == 200]; header.Get("Annals-Position") != want {
			t.Errorf("%s: position %q, want %q", name, header.Get("Annals-Position"), want)
		}
		if diff := cmp.Diff(c.asked, strings.Join(f.questions(), "; ")); diff != "" {
			t.Errorf("%s: asked (-want +got):\n%s", name, diff)
		}
	}
}

// Where nobody is asked who they are, nobody is forgotten; a page of another origin forgets nobody either.
func TestWhoForgetsIsKnown(t *testing.T) {
	t.Parallel()
	f := &fake{}
	open, closed := serve(t, httpapi.Config{Client: f}), serve(t, httpapi.Config{Client: f, Tokens: roles{}})
	for place, headers := range map[string][]string{
		"POST " + open + "/v1/subjects/c/forget":   asOfficer,
		"GET " + open + "/v1/subjects/c":           asOfficer,
		"GET " + open + "/v1/subjects":             asOfficer,
		"POST " + closed + "/v1/subjects/c/forget": append([]string{"Origin", "https://elsewhere.example"}, asOfficer...),
	} {
		method, url, _ := strings.Cut(place, " ")
		if status, header, body := ask(t, method, url, `{"why":"x"}`, headers...); status != http.StatusForbidden || header.Get("Annals-Error") != "FORBIDDEN" {
			t.Errorf("%s: %d %s", place, status, body)
		}
	}
	if asked := f.questions(); len(asked) > 0 {
		t.Errorf("asked: %q", asked)
	}
}

// Errors have the codes that they have over NATS; a system without personal data is told from one that does not
// answer.
func TestErrorsOfForgetting(t *testing.T) {
	t.Parallel()
	nobody := &gateway.Error{Status: 503, Code: gateway.CodeUnavailable, Description: "nobody is there", Retryable: true}
	for _, c := range []struct {
		err    error
		info   error
		status int
		code   gateway.Code
		retry  bool
	}{
		{fmt.Errorf("%w: step purge: node b", gateway.ErrForgetUnfinished), nil, 503, gateway.CodeForgetUnfinished, true},
		{gateway.ErrForbidden, nil, 403, gateway.CodeForbidden, false},
		{nats.ErrNoResponders, nil, 404, gateway.CodeNotFound, false},
		{fmt.Errorf("%w: %w", nobody, nats.ErrNoResponders), nobody, 503, gateway.CodeUnavailable, true},
	} {
		url := serve(t, httpapi.Config{Client: &silent{fake: &fake{err: c.err}, info: c.info}, Tokens: roles{}})
		for _, place := range []string{"POST /v1/subjects/c/forget", "GET /v1/subjects/c", "GET /v1/subjects"} {
			method, path, _ := strings.Cut(place, " ")
			status, header, body := ask(t, method, url+path, `{"why":"x"}`, asOfficer...)
			if status != c.status || header.Get("Annals-Error") != string(c.code) || (header.Get("Retry-After") != "") != c.retry {
				t.Errorf("%s, %v: %d %s", place, c.err, status, body)
			}
		}
	}
}

// Who gave no id of its own and is not told what came of it has that of the erasure, to ask for the same again.
func TestAnErrorHasTheErasure(t *testing.T) {
	t.Parallel()
	const id = "0190a7a2-6f2e-7c80-8d1c-2f2b8d4a0001"
	for code, c := range map[gateway.Code]struct {
		err   error
		given bool
	}{
		gateway.CodeForgetUnfinished: {fmt.Errorf("%w: step purge: node b", gateway.ErrForgetUnfinished), true},
		gateway.CodeUnknownOutcome:   {&store.UnknownError{Stream: store.StreamID{Type: "x", ID: "1"}, Reason: nats.ErrTimeout}, true},
		gateway.CodeForbidden:        {gateway.ErrForbidden, false},
	} {
		url := serve(t, httpapi.Config{Client: &fake{err: c.err, erasure: uuid.MustParse(id)}, Tokens: roles{}})
		status, header, body := ask(t, "POST", url+"/v1/subjects/c/forget", `{"why":"x"}`, asOfficer...)
		var said struct {
			Type string
			Code int
			Err  gateway.Code `json:"err_code"`
			ID   string
		}
		if err := json.Unmarshal([]byte(body), &said); err != nil {
			t.Fatal(err)
		}
		if want := map[bool]string{true: id}[c.given]; said.ID != want || said.Err != code || said.Code != status || said.Type == "" || header.Get("Annals-Error") != string(code) {
			t.Errorf("%s: %d %s", code, status, body)
		}
	}
}

// A forgetting has the longest time that a request may have, for it waits for all nodes; what else is asked has less.
func TestForgettingHasTime(t *testing.T) {
	t.Parallel()
	f := &fake{until: make(chan struct{})}
	url := serve(t, httpapi.Config{Client: f, Tokens: roles{}, Timeout: time.Millisecond, MaxTimeout: time.Minute})
	if status, _, body := ask(t, "GET", url+"/v1/subjects/c", "", asOfficer...); status < 500 {
		t.Errorf("a look: %d %s", status, body)
	}
	answered := make(chan int, 1)
	go func() {
		status, _, _ := ask(t, "POST", url+"/v1/subjects/c/forget", `{"why":"x"}`, asOfficer...)
		answered <- status
	}()
	select {
	case status := <-answered:
		t.Errorf("it was over at once: %d", status)
	case <-time.After(100 * time.Millisecond):
	}
	close(f.until)
	if status := <-answered; status != http.StatusOK {
		t.Errorf("a forgetting: %d", status)
	}
}

// silent is a client whose answer to info is another one.
type silent struct {
	*fake
	info error
}

func (s *silent) Info(context.Context) (gateway.Info, error) { return gateway.Info{}, s.info }
