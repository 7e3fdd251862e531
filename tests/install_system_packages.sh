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
apt="apt-get -qq -o Acquire::Retries=5 -o DPkg::Lock::Timeout=300" # another apt may be at work, such as that of every day
$apt update
DEBIAN_FRONTEND=noninteractive $apt install -y dicom3tools dcmtk orthanc orthanc-dicomweb >/dev/null
test -n "$had_orthanc" || update-rc.d orthanc disable
