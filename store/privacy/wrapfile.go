package privacy

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/annals-go/annals/store"
)

// File is a [Wrapper] whose keys are in a file of lines
//
//	name base64-of-32-bytes
//
// of which the last is current; older ones stay until nothing is wrapped by them. The
// file may be read by its owner only (mode 0600 or less). A name that is not known is looked
// for in the file anew, so that a key that was added there is found.
type File struct {
	path string

	mu   sync.Mutex
	keys *wrapKeys
}

var _ Wrapper = (*File)(nil)

const maxWrapFile = 256 << 10

// OpenFile reads a file of wrapping keys. The error says what is wrong with it.
func OpenFile(path string) (*File, error) {
	f := &File{path: path}
	if err := f.read(); err != nil {
		return nil, fmt.Errorf("open wrapping keys: %w", err)
	}
	return f, nil
}

func (f *File) read() error {
	text, err := readPrivately(f.path)
	if err != nil {
		return err
	}
	defer clear(text)
	keys, err := parseWrapKeys(text)
	if err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keys = keys
	return nil
}

// readPrivately reads a file that nobody but its owner may read.
func readPrivately(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" { // which has no such modes
		return nil, fmt.Errorf("%s has mode %04o: others may read it; want 0600", path, mode)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxWrapFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxWrapFile {
		return nil, &store.TooLargeError{What: path, Limit: maxWrapFile}
	}
	return text, nil
}

// Current implements [Wrapper].
func (f *File) Current() string { return f.now().current }

func (f *File) now() *wrapKeys {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.keys
}

// with returns keys that have the name, if the file has it.
func (f *File) with(name string) (*wrapKeys, error) {
	keys := f.now()
	if _, err := keys.find(name); err == nil {
		return keys, nil
	}
	if err := f.read(); err != nil {
		return nil, unavailable("read wrapping keys", err)
	}
	return f.now(), nil
}

// Wrap implements [Wrapper].
func (f *File) Wrap(_ context.Context, by string, key, bound []byte) ([]byte, error) {
	keys, err := f.with(by)
	if err != nil {
		return nil, err
	}
	return keys.wrap(by, key, bound)
}

// Unwrap implements [Wrapper].
func (f *File) Unwrap(_ context.Context, by string, wrapped, bound []byte) ([]byte, error) {
	keys, err := f.with(by)
	if err != nil {
		return nil, err
	}
	return keys.unwrap(by, wrapped, bound)
}

// GenerateFile adds a new random key of that name to a file of wrapping keys, as its
// last one and so the current one, and makes the file, with mode 0600, if it is not there. The file is
// replaced in one step. A name that is there already is refused.
func GenerateFile(path, name string) error {
	if err := generateFile(path, name); err != nil {
		return fmt.Errorf("generate wrapping key: %w", err)
	}
	return nil
}

func generateFile(path, name string) error {
	text, err := readPrivately(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		text = []byte("# wrapping keys: the last one is current\n")
	case err != nil:
		return err
	}
	defer clear(text)
	key := make([]byte, keyBytes)
	defer clear(key)
	rand.Read(key) // never fails: the program ends instead
	if n := len(text); n > 0 && text[n-1] != '\n' {
		text = append(text, '\n')
	}
	text = fmt.Appendf(text, "%s %s\n", name, base64.StdEncoding.EncodeToString(key))
	if _, err := parseWrapKeys(text); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return replaceFile(path, text)
}

// replaceFile writes a file that only its owner may read, whole or not at all.
func replaceFile(path string, text []byte) (err error) {
	next, err := os.CreateTemp(filepath.Dir(path), ".keys-*") // with mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(next.Name())
		}
	}()
	_, err = next.Write(text)
	if err == nil {
		err = next.Sync()
	}
	if closed := next.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	if err = os.Rename(next.Name(), path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

func syncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil && runtime.GOOS != "windows" {
		return err
	}
	return nil
}
