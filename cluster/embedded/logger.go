package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
)

// logger passes the server's messages on, and remembers the first fatal one:
// the server itself would end the process there, which is not ours to do.
type logger struct {
	to *slog.Logger
	// routine says that warnings are of no interest to an operator: the servers
	// of a cluster complain of each other until all are there, and again while
	// they are stopped.
	routine atomic.Bool

	mu    sync.Mutex
	fatal error
}

func (l *logger) log(level slog.Level, format string, v []any) {
	ctx := context.Background()
	if l.to.Enabled(ctx, level) {
		l.to.Log(ctx, level, "nats server", "text", fmt.Sprintf(format, v...))
	}
}

// Noticef takes what the server tells about its life: debug, for the process
// that embeds it tells its own.
func (l *logger) Noticef(format string, v ...any) { l.log(slog.LevelDebug, format, v) }

// Warnf passes a warning on.
func (l *logger) Warnf(format string, v ...any) { l.log(l.warning(), format, v) }

// Errorf passes an error on as a warning: whether it stops anything is known
// to those whose calls then fail.
func (l *logger) Errorf(format string, v ...any) { l.log(l.warning(), format, v) }

func (l *logger) warning() slog.Level {
	if l.routine.Load() {
		return slog.LevelDebug
	}
	return slog.LevelWarn
}

// Debugf drops what the server is not asked to tell.
func (l *logger) Debugf(string, ...any) {}

// Tracef drops what the server is not asked to tell.
func (l *logger) Tracef(string, ...any) {}

// Fatalf remembers why the server gave up.
func (l *logger) Fatalf(format string, v ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fatal == nil {
		l.fatal = &fatalError{text: fmt.Sprintf(format, v...), cause: firstError(v)}
	}
}

// err returns the first fatal message, nil if there was none.
func (l *logger) err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fatal
}

// fatalError is the server's text, with the error that it was made of.
type fatalError struct {
	text  string
	cause error
}

func (e *fatalError) Error() string { return e.text }
func (e *fatalError) Unwrap() error { return e.cause }

// firstError returns nil if there is none.
func firstError(v []any) error {
	for _, a := range v {
		if err, is := a.(error); is {
			return err
		}
	}
	return nil
}
