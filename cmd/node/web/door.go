package web

import (
	"net/http"
	"sync/atomic"
)

// door is where the server finds the HTTP API: there is none before the
// node serves, and none after it has begun to stop.
type door struct{ handler atomic.Pointer[http.Handler] }

// open lets requests through to a handler; nil shuts it.
func (d *door) open(h http.Handler) {
	if h == nil {
		d.handler.Store(nil)
		return
	}
	d.handler.Store(&h)
}

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h := d.handler.Load(); h != nil {
		(*h).ServeHTTP(w, r)
		return
	}
	w.Header().Set("Retry-After", "1")
	http.Error(w, "no commands and queries are served here, or not yet", http.StatusServiceUnavailable)
}
