package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/gateway/httpapi"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// open asks for a watch and returns its lines as they come.
func open(t *testing.T, url string, headers ...string) *bufio.Reader {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
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
	t.Cleanup(func() { _ = answer.Body.Close() })
	if kind := answer.Header.Get("Content-Type"); answer.StatusCode != http.StatusOK || kind != "text/event-stream" {
		t.Fatalf("status %d, content type %s", answer.StatusCode, kind)
	}
	return bufio.NewReader(answer.Body)
}

func TestAWatchSendsEvents(t *testing.T) {
	t.Parallel()
	f := &fake{watch: func(context.Context) iter.Seq2[projector.Document, error] {
		return func(yield func(projector.Document, error) bool) {
			_ = yield(projector.Document{Key: "a", Position: 5, Document: json.RawMessage("{\"n\":\n1}")}, nil) &&
				yield(projector.Document{Key: "b", Position: 7}, nil) &&
				yield(projector.Document{Position: 9, Model: "totals_v2"}, nil) &&
				yield(projector.Document{}, nil) &&
				yield(projector.Document{}, projector.ErrBusy)
		}
	}}
	url := serve(t, httpapi.Config{Client: f, Heartbeat: time.Minute})
	all, err := io.ReadAll(open(t, url+"/v1/watch/totals?prefix=x&after=3", "Last-Event-ID", "totals_v1:4"))
	if err != nil {
		t.Fatal(err)
	}
	want := ": watching\n\n" +
		"event: document\ndata: {\"key\":\"a\",\"position\":5,\"document\":{\"n\":1}}\n\n" +
		"event: deleted\ndata: {\"key\":\"b\",\"position\":7}\n\n" +
		"id: totals_v2:9\nevent: progress\ndata: {\"position\":9}\n\n" +
		"id: 0\nevent: progress\ndata: {\"position\":0}\n\n" +
		"event: error\ndata: {\"type\":\"io.annals.api.v1.error\",\"code\":429,\"err_code\":\"BUSY\",\"description\":\"busy\",\"retryable\":true}\n\n"
	if diff := cmp.Diff(want, string(all)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if _, err := io.ReadAll(open(t, url+"/v1/watch/totals?after=3", "Last-Event-ID", "7")); err != nil {
		t.Fatal(err)
	}
	asked := []string{
		"watch totals {Key: Prefix:x After:4 Model:totals_v1 Min:0 Progress:true}",
		"watch totals {Key: Prefix: After:7 Model: Min:0 Progress:true}",
	}
	if diff := cmp.Diff(asked, f.questions()); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

// What no repetition changes is an answer with its status, before any stream begins;
// what may pass ends a stream, after which a browser asks again.
func TestAWatchThatCannotBegin(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err    error
		status int
		begins string
	}{
		{fmt.Errorf("%w: %q", projector.ErrNoView, "totals"), http.StatusNotFound, `{"type":"io.annals.api.v1.error","code":404,"err_code":"UNKNOWN_VIEW"`},
		{&store.InvalidError{What: "prefix"}, http.StatusBadRequest, `{"type":"io.annals.api.v1.error","code":400,"err_code":"INVALID"`},
		{projector.ErrBusy, http.StatusOK, ": watching\n\nevent: error\ndata: {"},
	} {
		f := &fake{watch: func(context.Context) iter.Seq2[projector.Document, error] {
			return func(yield func(projector.Document, error) bool) { yield(projector.Document{}, c.err) }
		}}
		status, header, body := ask(t, "GET", serve(t, httpapi.Config{Client: f, Heartbeat: time.Minute})+"/v1/watch/totals", "")
		if status != c.status || !strings.HasPrefix(body, c.begins) || (status == http.StatusOK) != (header.Get("Content-Type") == "text/event-stream") {
			t.Errorf("%v: status %d, %s: %s", c.err, status, header.Get("Content-Type"), body)
		}
	}
}

// While nothing changes both ends hear of each other; when the asker goes, the
// watch ends.
func TestAWatchBeatsAndEnds(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	f := &fake{watch: func(ctx context.Context) iter.Seq2[projector.Document, error] {
		return func(func(projector.Document, error) bool) {
			<-ctx.Done()
			close(ended)
		}
	}}
	url := serve(t, httpapi.Config{Client: f, Heartbeat: 20 * time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", url+"/v1/watch/totals?key=a", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	lines := bufio.NewReader(answer.Body)
	began := time.Now()
	for beats := 0; beats < 2 || time.Since(began) < serverLimit+time.Second; {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(line, ": still here") {
			beats++
		}
	}
	cancel()
	<-ended
}

// An asker that reads nothing is dropped when a write has waited as long as a
// heartbeat, and its watch with it.
func TestAWatchDropsWhoDoesNotRead(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	large := json.RawMessage(`"` + strings.Repeat("x", 1<<16) + `"`)
	f := &fake{watch: func(context.Context) iter.Seq2[projector.Document, error] {
		return func(yield func(projector.Document, error) bool) {
			for yield(projector.Document{Key: "a", Position: 1, Document: large}, nil) {
			}
			close(ended)
		}
	}}
	url := serve(t, httpapi.Config{Client: f, Heartbeat: 50 * time.Millisecond})
	open(t, url+"/v1/watch/totals?key=a") // and never read
	<-ended
}
