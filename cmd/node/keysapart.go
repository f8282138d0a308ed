package node

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// together reports whether one of two places is the other, or within it: whoever copies the outer one
// copies both.
func together(a, b string) (bool, error) {
	bucket, isBucket := strings.CutPrefix(a, inBucket)
	other, isOther := strings.CutPrefix(b, inBucket)
	if isBucket || isOther {
		return isBucket && isOther && bucket == other, nil // no bucket is within another, and none has two names
	}
	first, err := resolved(a)
	if err != nil {
		return false, err
	}
	second, err := resolved(b)
	if err != nil {
		return false, err
	}
	return within(first, second) || within(second, first), nil
}

// resolved is the one name of a directory that may not be there yet, without links.
func resolved(place string) (string, error) {
	place, err := filepath.Abs(place)
	if err != nil {
		return "", err
	}
	missing := ""
	for at := place; ; at = filepath.Dir(at) {
		known, err := filepath.EvalSymlinks(at)
		if err == nil {
			return filepath.Join(known, missing), nil
		}
		if !errors.Is(err, fs.ErrNotExist) || at == filepath.Dir(at) {
			return "", err
		}
		missing = filepath.Join(filepath.Base(at), missing)
	}
}

// within reports whether a directory is another or in it. The file system is asked as well: it may take
// several spellings for the same.
func within(inner, outer string) bool {
	want, missing := os.Stat(outer)
	for at := inner; ; at = filepath.Dir(at) {
		if at == outer {
			return true
		}
		if is, err := os.Stat(at); missing == nil && err == nil && os.SameFile(is, want) {
			return true
		}
		if at == filepath.Dir(at) {
			return false
		}
	}
}

// backupsAround returns the directory with backups of a namespace that a place is in; empty if there is none.
func backupsAround(place, namespace string) (string, error) {
	if strings.HasPrefix(place, inBucket) {
		return "", nil
	}
	at, err := resolved(place)
	if err != nil {
		return "", err
	}
	for ; ; at = filepath.Dir(at) {
		found, err := filepath.Glob(filepath.Join(escaped(at), namespace, "*", backupManifest))
		if err != nil || len(found) > 0 {
			return at, err
		}
		if at == filepath.Dir(at) {
			return "", nil
		}
	}
}

// backupManifest is the file that makes a folder a backup.
const backupManifest = "manifest.json"

// escaped takes what a directory's name has of a pattern for itself.
func escaped(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}
