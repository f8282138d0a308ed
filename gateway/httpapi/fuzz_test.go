package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/gateway/httpapi"
	"github.com/annals-go/annals/projector"
)

// patient takes what is written however late, as watches ask.
type patient struct{ *httptest.ResponseRecorder }

func (patient) SetWriteDeadline(time.Time) error { return nil }

// FuzzRequest: whatever a request says, the answer is one of ours: data, or an
// error with a code, and never that something went wrong inside.
func FuzzRequest(f *testing.F) {
	for _, text := range []string{
		"GET /v1/info HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST /v1/commands/account/1/open?wait_for=totals HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nAnnals-Expected-Version: 7\r\nContent-Length: 2\r\n\r\n{}",
		"GET /v1/views/totals?limit=7&cursor=x&min_position=3 HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /v1/aggregates/account/a%20b/diff?from_version=1&to_time=2012-03-01T09:00:00Z HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST /v1/wait HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"GET /v1/watch/totals?key=a HTTP/1.1\r\nHost: a\r\nLast-Event-ID: m:7\r\n\r\n",
		"DELETE /v1/%zz HTTP/1.0\r\n\r\n", "GET /v1/../../etc HTTP/1.1\r\nHost: a\r\nAnnals-Principal: root\r\n\r\n",
	} {
		f.Add(text)
	}
	handler, err := httpapi.New(httpapi.Config{Client: &fake{watch: func(context.Context) iter.Seq2[projector.Document, error] {
		return func(func(projector.Document, error) bool) {}
	}}, MaxBody: 1 << 10})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
		if err != nil || !strings.HasPrefix(r.URL.Path, "/v1/") {
			return
		}
		w := patient{httptest.NewRecorder()}
		handler.ServeHTTP(w, r)
		if w.Code >= 300 && w.Code < 400 {
			return // to a clean path
		}
		var e gateway.Error
		if failed := w.Code != http.StatusOK; failed && (json.Unmarshal(w.Body.Bytes(), &e) != nil || e.Code == "" || e.Status != w.Code || e.Code == gateway.CodeInternal) {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	})
}
