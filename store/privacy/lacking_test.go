package privacy_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// A node that has not got the wrapping key which became current refuses personal data at once,
// says so once, and goes on by itself when it is given the key.
func TestNodeLacksTheWrappingKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path, open := wrapFile(t, "first")
		keys := privacy.NewMemory()
		var logged strings.Builder
		k, err := privacy.NewKeyring(privacy.KeyringConfig{Keys: keys, Wrapper: open(), Logger: slog.New(slog.NewTextHandler(&logged, nil))})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- k.Run(ctx) }()
		log := privacy.NewLog(store.NewMemory(store.MemoryConfig{}), k)
		head := mustAppend(t, log, commitOf(t, store.MsgPack, application, store.Head{}, field{"email", "ann@example.org", "ann"}))

		with := t.TempDir() + "/keys"
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(with, before, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := privacy.GenerateFile(with, "second"); err != nil {
			t.Fatal(err)
		}
		w, err := privacy.OpenFile(with)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := privacy.Rewrap(t.Context(), keys, w, nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // the node has heard of it
		if wrong := k.Lacking(); wrong == nil || wrong.Name != "second" || wrong.Other {
			t.Fatalf("lacking: %v", wrong)
		}
		began := time.Now()
		c := commitOf(t, store.MsgPack, application, head, field{"email", "ben@example.org", "ben"})
		_, err = log.Append(t.Context(), c)
		var wrong *privacy.WrappingError
		if !errors.As(err, &wrong) || !errors.Is(err, store.ErrRefused) || errors.Is(err, store.ErrUnknown) || time.Since(began) > time.Second {
			t.Fatalf("append after %v: %v", time.Since(began), err)
		}
		// Whose key was wrapped anew cannot be read by a node that has nothing in memory.
		one := t.TempDir() + "/keys"
		if err := os.WriteFile(one, before, 0o600); err != nil {
			t.Fatal(err)
		}
		blind, err := privacy.OpenFile(one)
		if err != nil {
			t.Fatal(err)
		}
		below := privacy.NewLog(log.Unwrap(), ringOf(t, keys, blind))
		if _, err := readAll(t.Context(), below, application); !errors.As(err, &wrong) || errors.Is(err, store.ErrNotFound) {
			t.Errorf("read: %v", err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := strings.Count(logged.String(), "current wrapping key is lacking"); n != 1 {
			t.Errorf("logged %d times: %s", n, logged.String())
		}

		after, err := os.ReadFile(with)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, after, 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if wrong := k.Lacking(); wrong != nil {
			t.Errorf("with the key: %v", wrong)
		}
		if n := strings.Count(logged.String(), "current wrapping key is there again"); n != 1 {
			t.Errorf("logged %d times: %s", n, logged.String())
		}
		mustAppend(t, log, c)
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
