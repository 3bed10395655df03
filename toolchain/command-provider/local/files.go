package local

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/gobwas/glob"
	"github.com/pulumi/pulumi-go-provider/infer/types"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// collectFiles fills Assets and Archive from the files under dir that the globs name; no globs leave them as they are.
func (r *Result) collectFiles(dir string, in Process) error {
	if in.AssetPaths != nil {
		files, err := matchFiles(os.DirFS(dir), *in.AssetPaths)
		if err != nil {
			return fmt.Errorf("assetPaths: %w", err)
		}
		assets := map[string]*types.AssetOrArchive{}
		for _, name := range files {
			asset, err := resource.NewPathAsset(path.Join(dir, name))
			if err != nil {
				return err
			}
			assets[name] = &types.AssetOrArchive{Asset: asset}
		}
		r.Assets = &assets
	}
	if in.ArchivePaths != nil {
		files, err := matchFiles(os.DirFS(dir), *in.ArchivePaths)
		if err != nil {
			return fmt.Errorf("archivePaths: %w", err)
		}
		members := map[string]any{}
		for _, name := range files {
			asset, err := resource.NewPathAsset(path.Join(dir, name))
			if err != nil {
				return err
			}
			members[name] = asset
		}
		if r.Archive, err = resource.NewAssetArchive(members); err != nil {
			return err
		}
	}
	return nil
}

// matchFiles returns the files of dir that the rules keep, in lexical order. Rules apply in order; `!` excludes; `*` stops at `/`, `**` doesn't.
func matchFiles(dir fs.FS, rules []string) ([]string, error) {
	type rule struct {
		glob    glob.Glob
		exclude bool
	}
	compiled := make([]rule, len(rules))
	for i, text := range rules {
		pattern, exclude := strings.CutPrefix(text, "!")
		g, err := glob.Compile(pattern, '/')
		if err != nil {
			return nil, fmt.Errorf("%q: %w", text, err)
		}
		compiled[i] = rule{g, exclude}
	}
	var kept []string
	err := fs.WalkDir(dir, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		keep := false
		for _, r := range compiled {
			if r.glob.Match(name) {
				keep = !r.exclude
			}
		}
		if keep {
			kept = append(kept, name)
		}
		return nil
	})
	return kept, err
}
