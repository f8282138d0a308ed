package gateway

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Quota bounds what is asked on one's behalf. Each node counts what comes to it by
// itself. 0 is no bound.
type Quota struct {
	// Rate is how many requests a second, of whatever kind; Burst is how many may come
	// at once. Default of Burst: a second's, at least 1.
	Rate  float64
	Burst int
	// BytesPerSecond bounds the payloads of commands. Two seconds' may come at once, and
	// always the largest command.
	BytesPerSecond int
	// InFlight is how many requests may be under way; a watch counts while it begins.
	InFlight int
	// Watches is how many watches may be under way.
	Watches int
	// StreamsPerHour is how many new aggregate instances; an hour's may come at once.
	// They are counted when they are there, so those under way may exceed it.
	StreamsPerHour int
}

// Quotas are those of a gateway. The zero value bounds nothing.
type Quotas struct {
	// Namespace is for everybody together, Principal for each asker by itself; those
	// whom nobody knows are one.
	Namespace, Principal Quota
	// MaxPrincipals is how many askers are told apart. Default 10,000. One more, and
	// whoever has asked nothing for the longest time begins anew.
	MaxPrincipals int
}

// ErrOverQuota says that an asker, or a namespace, asks more than it may:
// [CodeOverQuota].
var ErrOverQuota = errors.New("over quota")

// QuotaError says which bound was met. It matches [ErrOverQuota].
type QuotaError struct {
	// Whose is "namespace" or "principal".
	Whose string
	// What is bounded, and by how many of them.
	What  string
	Limit float64
	// Until is when it may be asked again, zero if that is not known.
	Until time.Time
}

func (e *QuotaError) Error() string {
	text := fmt.Sprintf("over quota: %s: %v %s", e.Whose, e.Limit, e.What)
	if e.Until.IsZero() {
		return text
	}
	return text + ", again in " + max(time.Until(e.Until), 0).Round(time.Millisecond).String()
}

// Unwrap makes the error match [ErrOverQuota].
func (*QuotaError) Unwrap() error { return ErrOverQuota }

// wait is how long to wait, in milliseconds, at least 1.
func (e *QuotaError) wait() uint64 {
	return uint64(max(1, math.Ceil(float64(time.Until(e.Until))/float64(time.Millisecond))))
}

func (q Quota) validate() error {
	if q.Rate < 0 || math.IsNaN(q.Rate) || q.Burst < 0 || q.BytesPerSecond < 0 || q.InFlight < 0 || q.Watches < 0 || q.StreamsPerHour < 0 {
		return errors.New("gateway config: a quota is below 0")
	}
	return nil
}
