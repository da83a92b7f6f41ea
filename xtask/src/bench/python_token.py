#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a module in Python for the same job looks like: one refresh of an offline token, and the proof of what it brought. It writes nothing."""
from __future__ import annotations

import json
from urllib.parse import urlencode

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import open_url


def main():
    module = AnsibleModule(
        argument_spec=dict(
            offline_token=dict(type='str', required=True, no_log=True),
            client_id=dict(type='str', default='cloud-services'),
            token_url=dict(type='str', required=True),
            ca_path=dict(type='path'),
        ),
    )
    form = {
        'grant_type': 'refresh_token',
        'client_id': module.params['client_id'],
        'refresh_token': module.params['offline_token'],
    }
    url, ca_path = module.params['token_url'], module.params['ca_path']
    try:
        answer = json.load(open_url(url, method='POST', data=urlencode(form), ca_path=ca_path))
        proof = {'Authorization': f"Bearer {answer['access_token']}"}
        open_url(url.rpartition('/')[0] + '/userinfo', headers=proof, ca_path=ca_path)
    except (OSError, ValueError) as error:
        module.fail_json(msg=f'The token could not be refreshed: {error}')
    module.exit_json(changed=False, refreshed=True, access_token=answer['access_token'])


if __name__ == '__main__':
    main()
