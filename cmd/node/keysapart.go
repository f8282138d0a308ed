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

// copiesNear returns a directory with backups or an archive of a namespace that a place is in, or that is in the
// place; empty if there is none.
func copiesNear(place, namespace string) (string, error) {
	if strings.HasPrefix(place, inBucket) {
		return "", nil
	}
	at, err := resolved(place)
	if err != nil {
		return "", err
	}
	around, err := copiesAround(at, namespace)
	if err != nil || around != "" {
		return around, err
	}
	return copiesBelow(at, namespace)
}

// copiesAround is what copiesNear finds in a resolved directory and those that it is in.
func copiesAround(at, namespace string) (string, error) {
	for {
		if has, err := hasCopies(at, namespace); has || err != nil {
			return at, err
		}
		if at == filepath.Dir(at) {
			return "", nil
		}
		at = filepath.Dir(at)
	}
}

// maxBelow is how many directories below a place are looked at, the nearest first: keys are kept where there
// is little else.
const maxBelow = 10_000

// copiesBelow is what it finds below. It passes over what may not be read, and links: what is behind these
// is elsewhere.
func copiesBelow(at, namespace string) (string, error) {
	for queue, next := []string{at}, 0; next < len(queue); next++ {
		if has, err := hasCopies(queue[next], namespace); has || err != nil {
			return queue[next], err
		}
		queue = append(queue, directoriesIn(queue[next], maxBelow-len(queue))...)
	}
	return "", nil
}

// directoriesIn lists so many directories in one.
func directoriesIn(dir string, most int) (found []string) {
	if most <= 0 {
		return nil
	}
	opened, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer opened.Close()
	for len(found) < most {
		entries, err := opened.ReadDir(256)
		for _, e := range entries {
			if e.IsDir() && len(found) < most {
				found = append(found, filepath.Join(dir, e.Name()))
			}
		}
		if err != nil {
			return found
		}
	}
	return found
}

// hasCopies reports whether a directory is one that backups of the namespace were made in, or that it was
// archived to.
func hasCopies(dir, namespace string) (bool, error) {
	for _, name := range []string{backupManifest, archiveEntry} {
		found, err := filepath.Glob(filepath.Join(escaped(dir), namespace, "*", name))
		if len(found) > 0 || err != nil {
			return len(found) > 0, err
		}
	}
	return false, nil
}

// The files that make a folder a backup, or a run of an archive.
const (
	backupManifest = "manifest.json"
	archiveEntry   = "run.json"
)

// escaped takes what a directory's name has of a pattern for itself.
func escaped(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}
