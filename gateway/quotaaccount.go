package gateway

import (
	"container/list"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// account is what somebody has used of a quota.
type account struct {
	whose    string
	quota    Quota
	requests *rate.Limiter // nil: unbounded, as the following
	bytes    *rate.Limiter
	streams  *rate.Limiter

	mu       sync.Mutex
	inFlight int
	watches  int
}

func newAccount(whose string, q Quota) *account {
	a := &account{whose: whose, quota: q}
	if q.Rate > 0 {
		burst := q.Burst
		if burst == 0 {
			burst = int(max(1, math.Ceil(q.Rate)))
		}
		a.requests = rate.NewLimiter(rate.Limit(q.Rate), burst)
	}
	if q.BytesPerSecond > 0 {
		a.bytes = rate.NewLimiter(rate.Limit(q.BytesPerSecond), max(2*q.BytesPerSecond, maxCommandBytes))
	}
	if q.StreamsPerHour > 0 {
		a.streams = rate.NewLimiter(rate.Limit(float64(q.StreamsPerHour)/time.Hour.Seconds()), q.StreamsPerHour)
	}
	return a
}

func (a *account) over(what string, limit float64, until time.Time) error {
	return &QuotaError{Whose: a.whose, What: what, Limit: limit, Until: until}
}

// spend takes n from a bucket, or says when they are there; undo gives them back.
func spend(l *rate.Limiter, now time.Time, n int) (until time.Time, undo func(), ok bool) {
	if l == nil {
		return until, func() {}, true
	}
	r := l.ReserveN(now, n)
	if !r.OK() {
		return until, nil, false
	}
	if delay := r.DelayFrom(now); delay > 0 {
		r.CancelAt(now)
		return now.Add(delay), nil, false
	}
	return until, func() { r.CancelAt(now) }, true
}

// begin counts a request with a payload, until end. If it fails, nothing was
// counted; undo takes back what was.
func (a *account) begin(now time.Time, size int) (undo func(), err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.quota.InFlight > 0 && a.inFlight >= a.quota.InFlight {
		return nil, a.over("requests under way", float64(a.quota.InFlight), time.Time{})
	}
	until, unspend, ok := spend(a.requests, now, 1)
	if !ok {
		return nil, a.over("requests a second", a.quota.Rate, until)
	}
	until, unload, ok := spend(a.bytes, now, size)
	if !ok {
		unspend()
		return nil, a.over("bytes a second", float64(a.quota.BytesPerSecond), until)
	}
	a.inFlight++
	return func() {
		unspend()
		unload()
		a.end()
	}, nil
}

func (a *account) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.inFlight--
}

func (a *account) idle() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.inFlight == 0 && a.watches == 0
}

// watch counts a watch, until unwatch.
func (a *account) watch() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.quota.Watches > 0 && a.watches >= a.quota.Watches {
		return a.over("watches under way", float64(a.quota.Watches), time.Time{})
	}
	a.watches++
	return nil
}

func (a *account) unwatch() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.watches--
}

// mayCreate says whether there is room for another stream.
func (a *account) mayCreate(now time.Time) error {
	if a.streams == nil {
		return nil
	}
	missing := 1 - a.streams.TokensAt(now)
	if missing <= 0 {
		return nil
	}
	wait := time.Duration(missing / float64(a.streams.Limit()) * float64(time.Second))
	return a.over("new streams an hour", float64(a.quota.StreamsPerHour), now.Add(wait))
}

// created counts a stream that is there, whether or not there was room.
func (a *account) created(now time.Time) {
	if a.streams != nil {
		a.streams.ReserveN(now, 1)
	}
}

// accounts are those of everybody who asked lately.
type accounts struct {
	quotas    Quotas
	namespace *account

	mu    sync.Mutex
	byWho map[string]*list.Element
	order *list.List // of *holder, who asked last stands in front
}

type holder struct {
	who string
	*account
}

func newAccounts(q Quotas) *accounts {
	return &accounts{quotas: q, namespace: newAccount("namespace", q.Namespace), byWho: map[string]*list.Element{}, order: list.New()}
}

// of returns the account of an asker; nil if askers have no quota.
func (all *accounts) of(who string) *account {
	if all.quotas.Principal == (Quota{}) {
		return nil
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	if found := all.byWho[who]; found != nil {
		all.order.MoveToFront(found)
		return found.Value.(*holder).account
	}
	if all.order.Len() >= all.quotas.MaxPrincipals {
		all.forgetOne()
	}
	h := &holder{who: who, account: newAccount("principal", all.quotas.Principal)}
	all.byWho[who] = all.order.PushFront(h)
	return h.account
}

// forgetOne drops who has asked nothing for the longest time, and has nothing under
// way; the bounds on what is under way bound the search. The caller holds the lock.
func (all *accounts) forgetOne() {
	for e := all.order.Back(); e != nil; e = e.Prev() {
		if h := e.Value.(*holder); h.idle() {
			all.order.Remove(e)
			delete(all.byWho, h.who)
			return
		}
	}
}
