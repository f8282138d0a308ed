package privacy_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// brokenWrapper is one that cannot be asked.
type brokenWrapper struct{}

var errGone = errors.New("gone")

func (brokenWrapper) Current() string { return "gone" }

func (brokenWrapper) Wrap(context.Context, string, []byte, []byte) ([]byte, error) {
	return nil, store.ErrUnavailable
}

func (brokenWrapper) Unwrap(context.Context, string, []byte, []byte) ([]byte, error) {
	return nil, errGone
}

// wantWrapper tries what every wrapper promises.
func wantWrapper(t *testing.T, w privacy.Wrapper) {
	t.Helper()
	ctx, key, bound := t.Context(), bytes.Repeat([]byte{7}, 32), []byte("a context")
	wrapped, err := w.Wrap(ctx, w.Current(), key, bound)
	if err != nil || bytes.Contains(wrapped, key) {
		t.Fatalf("wrap: %v", err)
	}
	again, err := w.Wrap(ctx, w.Current(), key, bound)
	if err != nil || bytes.Equal(wrapped, again) {
		t.Errorf("wrapped twice it is the same (%v)", err)
	}
	got, err := w.Unwrap(ctx, w.Current(), wrapped, bound)
	if err != nil || !bytes.Equal(got, key) {
		t.Fatalf("unwrap: %x, %v", got, err)
	}
	_, err = w.Unwrap(ctx, w.Current(), wrapped, []byte("another"))
	wantError(t, "unwrap in another context", err, store.ErrDamaged)
	wrapped[len(wrapped)-1] ^= 1
	_, err = w.Unwrap(ctx, w.Current(), wrapped, bound)
	wantError(t, "unwrap of what was changed", err, store.ErrDamaged)
	_, err = w.Unwrap(ctx, w.Current(), nil, bound)
	wantError(t, "unwrap of nothing", err, store.ErrDamaged)
	_, err = w.Unwrap(ctx, "unheard-of", wrapped, bound)
	wantError(t, "unwrap by a key that is not there", err, store.ErrNotFound)
	_, err = w.Wrap(ctx, "unheard-of", key, bound)
	wantError(t, "wrap by a key that is not there", err, store.ErrNotFound)
}

func TestFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys")
	for _, name := range []string{"first", "second"} {
		if err := privacy.GenerateFile(path, name); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	w, err := privacy.OpenFile(path)
	if err != nil || w.Current() != "second" {
		t.Fatalf("open: %v", err)
	}
	wantWrapper(t, w)
	wrapped, err := w.Wrap(t.Context(), "first", make([]byte, 32), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Unwrap(t.Context(), "second", wrapped, nil); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("unwrapped by another key: %v", err)
	}
	if err := privacy.GenerateFile(path, "first"); err == nil {
		t.Error("a name was taken twice")
	}
	if err := privacy.GenerateFile(path, "Not A Name"); err == nil {
		t.Error("a name that is none was taken")
	}
	if left, err := filepath.Glob(filepath.Dir(path) + "/.*"); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	_, err = w.Unwrap(t.Context(), "third", wrapped, nil)
	wantError(t, "unwrap without the file", err, store.ErrUnavailable)
}

func TestFileIsRefused(t *testing.T) {
	t.Parallel()
	key := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{9}, 32))
	for name, text := range map[string]string{
		"empty":       "",
		"no key":      "# nothing\n\n",
		"one field":   "first\n",
		"three":       "first " + key + " x\n",
		"short key":   "first " + key[:20] + "\n",
		"no base64":   "first !" + key[1:] + "\n",
		"twice":       "first " + key + "\nfirst " + key + "\n",
		"bad name":    "First " + key + "\n",
		"too large":   strings.Repeat("# x\n", 100_000),
		"endless row": strings.Repeat("x", 100_000),
	} {
		path := filepath.Join(t.TempDir(), "keys")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := privacy.OpenFile(path)
		if err == nil || strings.Contains(err.Error(), key[:20]) {
			t.Errorf("%s: %v", name, err)
		}
	}
	path := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, []byte("first "+key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := privacy.OpenFile(path); err == nil || !strings.Contains(err.Error(), "0640") {
		t.Errorf("a file that others may read: %v", err)
	}
	if err := privacy.GenerateFile(path, "second"); err == nil {
		t.Error("a key was added to a file that others may read")
	}
	if _, err := privacy.OpenFile(t.TempDir()); err == nil {
		t.Error("a folder was opened")
	}
	if _, err := privacy.OpenFile(path + "x"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestEnv(t *testing.T) {
	key := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{9}, 32))
	t.Setenv("ANNALS_TEST_KEYS", "first "+key+", second "+strings.Replace(key, "CQkJ", "AAAA", 1))
	w, err := privacy.OpenEnv("ANNALS_TEST_KEYS")
	if err != nil || w.Current() != "second" {
		t.Fatalf("open: %v", err)
	}
	wantWrapper(t, w)
	if _, err := privacy.OpenEnv("ANNALS_TEST_NO_KEYS"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a variable that is not there: %v", err)
	}
	t.Setenv("ANNALS_TEST_KEYS", "first x"+key)
	if _, err := privacy.OpenEnv("ANNALS_TEST_KEYS"); err == nil || strings.Contains(err.Error(), key) {
		t.Errorf("a bad key: %v", err)
	}
}

// TestMain is the program that TestCommand's wrapper asks, when it is told so.
func TestMain(m *testing.M) {
	if mode := os.Getenv("ANNALS_TEST_WRAPPER"); mode != "" {
		os.Exit(serveWrapper(mode, os.Stdin, os.Stdout))
	}
	// Many cases wait, for what hangs or does not come, not for a processor.
	_ = flag.Set("test.parallel", "8") // the command line may say something else
	os.Exit(m.Run())
}

// serveWrapper answers one question: keys are hidden behind a byte and the context.
func serveWrapper(mode string, in io.Reader, out io.Writer) int {
	var q struct {
		Do, By        string
		Data, Context []byte
	}
	if err := json.NewDecoder(in).Decode(&q); err != nil {
		return 3
	}
	answer := map[string]any{}
	switch {
	case mode == "fails" && q.Do != "current":
		fmt.Fprintln(os.Stderr, "no route to the service\nmore")
		return 1
	case mode == "floods" && q.Do != "current":
		fmt.Fprint(out, strings.Repeat(" ", 200_000), "{}")
		return 0
	case mode == "hangs" && q.Do != "current":
		select {}
	case mode == "babbles" && q.Do != "current":
		fmt.Fprint(out, "secret text")
		return 0
	case q.Do == "current":
		answer["by"] = "arn:service/key-1"
	case q.By != "arn:service/key-1":
		answer["error"] = "not found"
	case q.Do == "wrap":
		nonce := make([]byte, 8)
		rand.Read(nonce)
		sum := sha256.Sum256(append(q.Context, q.Data...))
		wrapped := slices.Concat(nonce, sum[:8])
		for i, b := range q.Data {
			wrapped = append(wrapped, b^nonce[i%8])
		}
		answer["data"] = wrapped
	default:
		answer = unwrapForTest(q.Data, q.Context)
	}
	return map[bool]int{true: 0, false: 4}[json.NewEncoder(out).Encode(answer) == nil]
}

func unwrapForTest(wrapped, bound []byte) map[string]any {
	if len(wrapped) < 16 {
		return map[string]any{"error": "damaged"}
	}
	var key []byte
	for i, b := range wrapped[16:] {
		key = append(key, b^wrapped[i%8])
	}
	if sum := sha256.Sum256(append(bound, key...)); !bytes.Equal(sum[:8], wrapped[8:16]) {
		return map[string]any{"error": "damaged"}
	}
	return map[string]any{"data": key}
}

// askProgram opens a wrapper that asks this very test binary.
func askProgram(t *testing.T, mode string, timeout time.Duration) (*privacy.Command, error) {
	t.Helper()
	return privacy.OpenCommand(t.Context(), privacy.CommandConfig{
		Path: "/usr/bin/env", Args: []string{"ANNALS_TEST_WRAPPER=" + mode, os.Args[0]}, Timeout: timeout,
	})
}

func TestCommand(t *testing.T) {
	t.Parallel()
	w, err := askProgram(t, "works", 30*time.Second)
	if err != nil || w.Current() != "arn:service/key-1" {
		t.Fatalf("open: %v", err)
	}
	wantWrapper(t, w)
	k := ringOf(t, privacy.NewMemory(), w)
	sealed, _ := sealFor(t, k, "ann")
	if !opens(t, k, sealed) {
		t.Error("what was sealed does not open")
	}
}

func TestCommandThatFails(t *testing.T) {
	t.Parallel()
	for mode, timeout := range map[string]time.Duration{"fails": 30 * time.Second, "floods": 30 * time.Second, "babbles": 30 * time.Second, "hangs": 3 * time.Second} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w, err := askProgram(t, mode, timeout)
			if err != nil {
				t.Fatal(err)
			}
			_, err = w.Unwrap(t.Context(), w.Current(), []byte("x"), nil)
			wantError(t, "unwrap", err, store.ErrUnavailable)
			if strings.Contains(err.Error(), "secret") || mode == "fails" != strings.Contains(err.Error(), "no route to the service") {
				t.Errorf("unwrap: %v", err)
			}
		})
	}
	for path, runs := range map[string]bool{t.TempDir() + "/none": false, "no-such-program": false, "/bin/false": true} {
		_, err := privacy.OpenCommand(t.Context(), privacy.CommandConfig{Path: path})
		wrong, is := errors.AsType[*privacy.CommandError](err)
		if !is || !errors.Is(err, store.ErrUnavailable) || wrong.Path != path || wrong.Started() != runs || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := privacy.OpenCommand(t.Context(), privacy.CommandConfig{}); err == nil {
		t.Error("no program was opened")
	}
}
