//go:build linux

package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/cluster/embedded"
)

// users are those of every run, with their roles; bob is another client.
var users = []string{"ann=client", "bob=client", "n1=node", "p1=projector", "olga=operator", "petra=privacy-officer", "archie=archivist", "audra=auditor", "pat=provisioner"}

const (
	namespace     = "loans"
	archiveBucket = "ARCHIVE"
	backupBucket  = "BACKUPS"
	keysBucket    = "KEYS"
)

// stage is a server with users of a file.
type stage struct {
	program program
	dir     string // of this stage
	keys    string // where the users' seeds are
	users   string // the file
	token   string // of a privacy officer, over HTTP
	server  servers
	ear     *ear
}

// raise prepares a stage, and starts the server.
func raise(ctx context.Context, p program, dir string, plain bool, wrong *plant) (*stage, error) {
	s, err := prepare(ctx, p, dir, plain, wrong)
	if err != nil {
		return nil, err
	}
	one, err := embedded.Start(embedded.Config{
		Dir: filepath.Join(dir, "data"), Sync: embedded.SyncNone, UsersFile: s.users, Logger: slog.New(s.ear),
	})
	s.server = one
	return s, err
}

// prepare prints the users, with or without --plain, and plants a wrong grant if there is one.
func prepare(ctx context.Context, p program, dir string, plain bool, wrong *plant) (*stage, error) {
	s := &stage{program: p, dir: dir, keys: filepath.Join(dir, "keys"), users: filepath.Join(dir, "users.conf"), ear: &ear{}}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	args := []string{"generate", "permissions", "--keys", s.keys, "--builds", "3", "--bucket", archiveBucket + "," + backupBucket + "," + keysBucket}
	for _, u := range users {
		args = append(args, "--user", u)
	}
	if plain {
		args = append(args, "--plain")
	}
	text, err := p.text(ctx, args...)
	if err != nil {
		return nil, err
	}
	if wrong != nil {
		if text, err = wrong.into(text, s.keys); err != nil {
			return nil, err
		}
	}
	return s, os.WriteFile(s.users, []byte(text), 0o600)
}

// kek is the file of the wrapping keys of personal data.
// tokens is the file with the hash of the token.
func (s *stage) tokens() string { return filepath.Join(s.dir, "tokens") }

func (s *stage) kek() string { return filepath.Join(s.dir, "kek") }

func (s *stage) seed(user string) string { return filepath.Join(s.keys, user+".nk") }

// connect comes as a user, over the network.
func (s *stage) connect(user string) (*nats.Conn, error) {
	nkey, err := nats.NkeyOptionFromSeed(s.seed(user))
	if err != nil {
		return nil, err
	}
	nc, err := nats.Connect(s.server.URL(), nkey, nats.CustomInboxPrefix("_INBOX_"+user), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		return nil, fmt.Errorf("connect as %s: %w", user, err)
	}
	return nc, nil
}

// as are the flags of a command that comes as a user.
func (s *stage) as(user string, args ...string) []string {
	args = append(args, "--server", s.server.URL(), "--nkey", s.seed(user), "--inbox-prefix", "_INBOX_"+user)
	if user == "n1" || user == "p1" {
		return args
	}
	return append(args, "--as", user)
}

// ear hears what the server refuses.
type ear struct {
	mu    sync.Mutex
	heard []string
}

// Enabled implements [slog.Handler].
func (e *ear) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

// Handle implements [slog.Handler].
func (e *ear) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if text := a.Value.String(); strings.Contains(text, "Violation") {
			e.mu.Lock()
			e.heard = append(e.heard, text)
			e.mu.Unlock()
		}
		return true
	})
	return nil
}

// WithAttrs implements [slog.Handler].
func (e *ear) WithAttrs([]slog.Attr) slog.Handler { return e }

// WithGroup implements [slog.Handler].
func (e *ear) WithGroup(string) slog.Handler { return e }

// forget leaves out what was refused until now: it was to be.
func (e *ear) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard = nil
}

// violations are what was refused until now.
func (e *ear) violations() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.heard)
}
