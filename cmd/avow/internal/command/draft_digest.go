package command

import (
	"os"
	"slices"
	"strings"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/cmd/avow/internal/oci"
)

// digestSubjects takes the arguments that are not files out of a list: NAME=sha256:HEX where no file has that name, and
// oci://IMAGE@sha256:HEX, whose subject has the image's name. Nothing is fetched for it: the digest is what is signed.
func digestSubjects(arguments []string) (subjects []attest.Subject, paths []string, err error) {
	for _, argument := range arguments {
		name, sha256 := "", ""
		switch at := strings.LastIndex(argument, "sha256:"); {
		case oci.IsImage(argument):
			image, err := oci.ParseImage(argument)
			if err != nil {
				return nil, nil, err
			}
			name, sha256 = image.Name(), image.SHA256()
		case at >= 0 && digestArgument.MatchString(argument[at:]) && !exists(argument):
			if at > 0 && argument[at-1] != '=' {
				return nil, nil, failed("give NAME=sha256:HEX, or oci://IMAGE@sha256:HEX for an image", "%s is neither a file nor a "+
					"name with a digest", argument)
			}
			name, sha256 = strings.TrimSuffix(argument[:at], "="), argument[at+len("sha256:"):]
		default:
			paths = append(paths, argument)
			continue
		}
		s, err := attest.SubjectByDigest(name, sha256)
		if err != nil {
			return nil, nil, err
		}
		if slices.ContainsFunc(subjects, func(other attest.Subject) bool { return other.Digest["sha256"] == sha256 }) {
			return nil, nil, failed("name it once", "sha256:%s is given twice", sha256)
		}
		subjects = append(subjects, s)
	}
	return subjects, paths, nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
