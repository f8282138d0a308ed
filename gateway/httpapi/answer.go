package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

// handler answers a request with a body or with an error.
type handler func(ctx context.Context, r *http.Request) (answer, error)

// route is a handler, what kind of thing it does, and the parameters that it
// knows, beside timeout.
type route struct {
	handle     handler
	kind       gateway.Kind
	parameters []string
	slow       bool // it has MaxTimeout, unless the request names a time
}

// answer is the body of a success, and the position that it speaks of: 0 if of
// none.
type answer struct {
	body     any
	position store.Position
}

// answering gives a handler its place and its time, and writes what it returns.
func (a *api) answering(route route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !a.requests.take() {
			a.fail(w, fmt.Errorf("%w: %d requests are under way", actor.ErrBusy, a.MaxRequests))
			return
		}
		defer a.requests.give()
		timeout, err := a.timeout(r, route.slow)
		if err == nil {
			err = checkParameters(r, route.parameters...)
		}
		if err != nil {
			a.fail(w, err)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), timeout)
		defer cancel()
		r.Body = http.MaxBytesReader(w, r.Body, a.MaxBody)
		answer, err := route.handle(ctx, r)
		if err != nil {
			a.fail(w, err)
			return
		}
		a.write(w, http.StatusOK, answer)
	})
}

// everythingElse is the pattern of what no route takes.
const everythingElse = "/v1/"

// nothing answers for paths that there are not, and for methods that a path has not.
func (a *api) nothing(mux *http.ServeMux, w http.ResponseWriter, r *http.Request) {
	allowed := methodsOf(mux, r)
	if len(allowed) == 0 {
		a.fail(w, fmt.Errorf("%w: %s %s", store.ErrNotFound, r.Method, r.URL.Path))
		return
	}
	allow := strings.Join(allowed, ", ")
	w.Header().Set("Allow", allow)
	e := *gateway.ErrorOf(&store.InvalidError{What: "method", Value: r.Method, Reason: r.URL.Path + " takes " + allow})
	e.Status = http.StatusMethodNotAllowed // over NATS there are no methods
	a.fail(w, &e)
}

// methodsOf are those that the request's path has.
func methodsOf(mux *http.ServeMux, r *http.Request) (allowed []string) {
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := mux.Handler(other); pattern != everythingElse {
			allowed = append(allowed, method)
		}
	}
	return allowed
}

// fail writes an error with the body and the code that it has over NATS.
func (a *api) fail(w http.ResponseWriter, err error) {
	e := gateway.ErrorOf(err)
	if e.Code == gateway.CodeInternal {
		a.Logger.Error("http request failed", "err", err)
	}
	w.Header().Set(gateway.HeaderError, string(e.Code))
	if e.Retryable {
		w.Header().Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(e.RetryAfter().Seconds())))))
	}
	if e.Code == gateway.CodeUnauthenticated {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	body := any(e)
	if b, is := errors.AsType[*begunError](err); is {
		body = begunAnswer{e, b.id}
	}
	a.write(w, e.Status, answer{body: body})
}

func (a *api) write(w http.ResponseWriter, status int, answer answer) {
	body, err := json.Marshal(answer.body)
	if err != nil {
		a.Logger.Error("http answer cannot be encoded", "err", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "application/json")
	if answer.position > 0 {
		header.Set(headerPosition, strconv.FormatUint(uint64(answer.position), 10))
	}
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // who does not read it has gone
}
