#!/bin/sh
# Install the DICOM validator and the PACS that the tests use. Debian's orthanc starts a server on the standard ports, now
# and at every boot; the tests run their own, so that one is kept from starting, unless it was here before.
set -e
policy=/usr/sbin/policy-rc.d
test -x /usr/sbin/Orthanc && had_orthanc=yes || had_orthanc=
if test -z "$had_orthanc" && ! test -e $policy; then
    trap 'rm -f $policy' EXIT
    printf '#!/bin/sh\nexit 101\n' > $policy
    chmod 755 $policy
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq dicom3tools dcmtk orthanc orthanc-dicomweb >/dev/null
test -n "$had_orthanc" || update-rc.d orthanc disable
