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
	"time"

	"github.com/annals-go/annals/store"
)

// File is a [Wrapper] whose keys are in a file of lines
//
//	name base64-of-32-bytes
//
// of which the last is current; older ones stay until nothing is wrapped by them. The
// file may be read by its owner only (mode 0600 or less). A file that has changed is
// read anew within a second of use, and at once if it may have a name that is not known: what was
// added there is found, and what was taken out is not used any more. One that cannot be
// read, or has other bytes under a name that it had before, changes nothing.
type File struct {
	path string

	mu     sync.Mutex
	keys   *wrapKeys
	info   fs.FileInfo // of the file that they were read from
	looked time.Time   // when that was compared
}

// lookAgain is how long what was read is used without a look whether it has changed.
const lookAgain = time.Second

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
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.readAnew()
}

// readAnew is called with the lock.
func (f *File) readAnew() error {
	text, info, err := readPrivately(f.path)
	if err != nil {
		return err
	}
	defer clear(text)
	keys, err := parseWrapKeys(text)
	if err == nil {
		err = keys.follows(f.keys)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	f.keys, f.info, f.looked = keys, info, time.Now()
	return nil
}

// readPrivately reads a file that nobody but its owner may read.
func readPrivately(path string) ([]byte, fs.FileInfo, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%s is not a file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" { // which has no such modes
		return nil, nil, &ExposedError{Path: path, Mode: mode}
	}
	text, err := io.ReadAll(io.LimitReader(file, maxWrapFile+1))
	if err != nil {
		return nil, nil, err
	}
	if len(text) > maxWrapFile {
		return nil, nil, &store.TooLargeError{What: path, Limit: maxWrapFile}
	}
	return text, info, nil
}

// Current implements [Wrapper].
func (f *File) Current() string { return f.now().current }

func (f *File) now() *wrapKeys {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.looked) >= lookAgain {
		f.looked = time.Now()
		if info, err := os.Stat(f.path); err == nil && !f.isRead(info) {
			_ = f.readAnew() // what was read before is as good as it was
		}
	}
	return f.keys
}

// isRead reports whether a file looks like the one that was read.
func (f *File) isRead(info fs.FileInfo) bool {
	return os.SameFile(info, f.info) && info.Size() == f.info.Size() && info.ModTime().Equal(f.info.ModTime())
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
	text, _, err := readPrivately(path)
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

// ExposedError: others than its owner may read, or write, a file of wrapping keys.
type ExposedError struct {
	Path string
	Mode fs.FileMode
}

// Error says so.
func (e *ExposedError) Error() string {
	return fmt.Sprintf("%s has mode %04o: others may read it; want 0600", e.Path, e.Mode)
}
