package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/moby/patternmatcher/ignorefile"
	"github.com/tonistiigi/fsutil"
)

// contextDigest hashes what a build reads: the Dockerfile's content, and name, mode and content of every file of the context that .dockerignore
// leaves. Times, owners and empty directories don't count. For contexts without symbolic links it equals the official provider's digest,
// so that changing providers doesn't rebuild.
func contextDigest(contextDir, dockerfile string) (string, error) {
	patterns, err := ignorePatterns(contextDir, dockerfile)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	if err := addFile(sum, dockerfile, "Dockerfile", 0); err != nil {
		return "", fmt.Errorf("hashing the dockerfile: %w", err)
	}
	filter := &fsutil.FilterOpt{ExcludePatterns: patterns}
	err = fsutil.Walk(context.Background(), contextDir, filter, func(name string, info fs.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		return addFile(sum, filepath.Join(contextDir, name), name, info.Mode())
	})
	if err != nil {
		return "", fmt.Errorf("hashing the build context: %w", err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// addFile adds name, mode and the hash of the content; a link's content is its target, whether that exists or not.
func addFile(sum hash.Hash, file, name string, mode fs.FileMode) error {
	content := sha256.New()
	switch {
	case mode.Type() == fs.ModeSymlink:
		target, err := os.Readlink(file)
		if err != nil {
			return err
		}
		_, _ = io.WriteString(content, filepath.ToSlash(target))
	case mode.IsRegular():
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		defer f.Close()
		if _, err := io.Copy(content, f); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	_, _ = io.WriteString(sum, filepath.ToSlash(path.Clean(name)))
	_, _ = io.WriteString(sum, mode.String())
	_, _ = sum.Write(content.Sum(nil))
	_, _ = sum.Write([]byte{0})
	return nil
}

// ignorePatterns reads the Dockerfile's own ignore file, else the context's, else none.
func ignorePatterns(contextDir, dockerfile string) ([]string, error) {
	for _, name := range []string{dockerfile + ".dockerignore", filepath.Join(contextDir, ".dockerignore")} {
		f, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		defer f.Close()
		patterns, err := ignorefile.ReadAll(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return patterns, nil
	}
	return nil, nil
}
